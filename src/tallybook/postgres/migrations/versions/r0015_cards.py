"""Payment intents of ours, and auto top-up."""

from __future__ import annotations

from tallybook.postgres.migrating import run_sql

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Apply the SQL of this revision."""
    run_sql("migrations/versions/0015_cards.sql")

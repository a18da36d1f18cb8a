"""The inbox for operators: who signed an event, which versions come in, what an event led to."""

from __future__ import annotations

from tallybook.postgres.migrating import run_sql

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Apply the SQL of this revision."""
    run_sql("migrations/versions/0014_inbox_for_operators.sql")

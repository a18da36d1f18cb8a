"""Changes of who may call are told."""

from __future__ import annotations

from tallybook.postgres.migrating import run_sql

revision = "0010"
down_revision = "0008"


def upgrade() -> None:
    """Apply the SQL of this revision."""
    run_sql("migrations/versions/0010_callers.sql")

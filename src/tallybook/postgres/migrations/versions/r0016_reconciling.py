"""The reconciler: runs, cursor and findings."""

from __future__ import annotations

from tallybook.postgres.migrating import run_sql

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Apply the SQL of this revision."""
    run_sql("migrations/versions/0016_reconciling.sql")

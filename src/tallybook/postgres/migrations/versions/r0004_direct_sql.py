"""Direct SQL for apps: the seed tables as views."""

from __future__ import annotations

from tallybook.postgres.migrating import run_sql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Apply the SQL of this revision."""
    run_sql("migrations/versions/0004_direct_sql.sql")

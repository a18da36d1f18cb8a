"""Who may touch what."""

from __future__ import annotations

from tallybook.postgres.migrating import run_sql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Apply the SQL of this revision."""
    run_sql("migrations/versions/0005_rights.sql")

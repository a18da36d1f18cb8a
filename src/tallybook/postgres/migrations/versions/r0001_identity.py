"""Users, organisations, apps, API keys, sessions, signing keys, the audit log."""

from __future__ import annotations

from tallybook.postgres.migrating import run_sql

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Apply the SQL of this revision."""
    run_sql("migrations/versions/0001_identity.sql")

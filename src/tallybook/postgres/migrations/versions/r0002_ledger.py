"""The ledger: tables, the posting function, verification."""

from __future__ import annotations

from tallybook.postgres.migrating import run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Apply the SQL of this revision."""
    run_sql("migrations/versions/0002_ledger.sql")
    run_sql("functions/post_v1.sql")
    run_sql("functions/wallets_v1.sql")
    run_sql("functions/verify_v1.sql")

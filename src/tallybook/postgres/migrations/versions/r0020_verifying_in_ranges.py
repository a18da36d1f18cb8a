"""The books are verified a range of wallets at a time."""

from __future__ import annotations

from tallybook.postgres.migrating import run_sql

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Apply the SQL of this revision."""
    run_sql("functions/verify_v3.sql")
    run_sql("migrations/versions/0020_verifying_in_ranges.sql")

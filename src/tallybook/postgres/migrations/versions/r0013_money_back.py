"""Money that comes back: refunds, disputes, what they took, and frozen wallets."""

from __future__ import annotations

from tallybook.postgres.migrating import run_sql

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Apply the SQL of this revision."""
    run_sql("migrations/versions/0013_money_back.sql")
    run_sql("functions/money_back_v3.sql")
    run_sql("migrations/versions/0013_rights.sql")

"""What a customer's balance paid of an invoice."""

from __future__ import annotations

from tallybook.postgres.migrating import run_sql

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Apply the SQL of this revision."""
    run_sql("migrations/versions/0017_paid_from_balance.sql")

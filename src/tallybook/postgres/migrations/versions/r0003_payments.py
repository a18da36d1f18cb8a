"""Stripe's side: account, customers, products, checkouts, the inbox."""

from __future__ import annotations

from tallybook.postgres.migrating import run_sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Apply the SQL of this revision."""
    run_sql("migrations/versions/0003_payments.sql")

"""Subscriptions, their invoices and their prices."""

from __future__ import annotations

from tallybook.postgres.migrating import run_sql

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Apply the SQL of this revision."""
    run_sql("migrations/versions/0012_subscriptions.sql")

"""Payments, and the lots that they brought."""

from __future__ import annotations

from tallybook.postgres.migrating import run_sql

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Apply the SQL of this revision."""
    run_sql("migrations/versions/0011_payments.sql")

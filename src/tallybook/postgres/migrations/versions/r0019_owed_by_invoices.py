"""What invoices owe that credited money to the customer's balance."""

from __future__ import annotations

from tallybook.postgres.migrating import run_sql

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Apply the SQL of this revision."""
    run_sql("migrations/versions/0019_owed_by_invoices.sql")

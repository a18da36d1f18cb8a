"""Promotion codes of plans, taxes of payments, and scheduled changes of plans."""

from __future__ import annotations

from tallybook.postgres.migrating import run_sql

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Apply the SQL of this revision."""
    run_sql("migrations/versions/0018_codes_taxes_schedules.sql")

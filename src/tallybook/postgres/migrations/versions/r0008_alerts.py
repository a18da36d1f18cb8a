"""Spend alerts and announcements."""

from __future__ import annotations

from tallybook.postgres.migrating import run_sql

revision = "0008"
down_revision = "0006"


def upgrade() -> None:
    """Apply the SQL of this revision."""
    run_sql("migrations/versions/0008_alerts.sql")
    run_sql("functions/evaluate_alerts_v1.sql")

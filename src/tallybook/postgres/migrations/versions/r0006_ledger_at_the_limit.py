"""The second posting function: a swift road, the front lot, budgets, sub-holds, expiry; and its verification."""

from __future__ import annotations

from tallybook.postgres.migrating import run_sql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Apply the SQL of this revision."""
    run_sql("migrations/versions/0006_ledger_at_the_limit.sql")
    run_sql("functions/posting_v2.sql")
    run_sql("functions/budgets_v1.sql")
    run_sql("functions/walk_v2.sql")
    run_sql("functions/post_v2.sql")
    run_sql("functions/batch_v2.sql")
    run_sql("functions/verify_v2.sql")
    run_sql("migrations/versions/0006_rights.sql")

"""Rows of the cast that no route makes: a payment as fulfilment writes it down, a finding as a reconciliation does."""

from __future__ import annotations

import psycopg
from databases import TestDatabase


def a_payment(database: TestDatabase, user_id: int, wallet: str) -> str:
    """A payment without a payment intent, as one of zero has none: nothing of it can be refunded."""
    made = (
        "INSERT INTO tallybook.payments (wallet_id, user_id, source, reference, description, paid_minor, currency,"
        " credits_micro, paid_at, updated_at) VALUES (%s, %s, 'checkout', %s, 'a pack', 1000, 'usd', 1, now(), now())"
        " RETURNING payment_id"
    )
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        row = connection.execute(made, [wallet.removeprefix("wal_"), user_id, f"cs_of_{user_id}"]).fetchone()
    return f"pay_{row[0] if row else 0}"


def a_finding(database: TestDatabase) -> tuple[str, str]:
    """A reconciliation of long ago, and an open finding of it."""
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        row = connection.execute(
            "WITH run AS (INSERT INTO tallybook.reconciliations (status, applies, asked_by, requested_at)"
            " VALUES ('done', false, 'operator command line', now()) RETURNING reconciliation_id)"
            " INSERT INTO tallybook.reconciliation_findings (code, kind, object_id, severity, expected, found,"
            " first_seen_at, last_seen_at, last_run)"
            " SELECT 'granted_not_paid', 'checkout_session', 'cs_' || reconciliation_id, 'difference', 'a', 'b',"
            " now(), now(), reconciliation_id FROM run RETURNING last_run, finding_id"
        ).fetchone()
    assert row is not None
    return f"rec_{row[0]}", f"fnd_{row[1]}"

"""A payment of somebody in the cast, as fulfilment would have written it down."""

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

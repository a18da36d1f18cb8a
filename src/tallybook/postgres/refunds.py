"""The door to the refunds that we ask for: each is written down before Stripe is asked."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from tallybook.postgres.pool import Row, Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("refunds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A refund that we ask for; ``asked_minor`` is None when all that was left was asked for."""

    refund_intent_id: UUID
    payment_id: int
    amount_minor: int
    asked_minor: int | None
    reason: str | None
    attempt: int
    status: str
    stripe_refund_id: str | None

    @property
    def idempotency_key(self) -> str:
        """Stripe's key for this attempt: asked again with it, Stripe makes no second refund."""
        return f"refund:{self.refund_intent_id}:{self.attempt}"


async def intend(
    tx: Transaction,
    now: datetime,
    *,
    payment_id: int,
    key: str,
    amount_minor: int,
    asked_minor: int | None,
    reason: str | None,
) -> Intent | None:
    """Write a refund down before Stripe is asked; None when its key was used before."""
    row = await tx.maybe(
        _SQL.intend,
        now=now,
        payment_id=payment_id,
        key=key,
        amount_minor=amount_minor,
        asked_minor=asked_minor,
        reason=reason,
    )
    return None if row is None else _intent(row)


async def by_key(tx: Transaction, payment_id: int, key: str) -> Intent | None:
    """What was asked for under a key."""
    row = await tx.maybe(_SQL.by_key, payment_id=payment_id, key=key)
    return None if row is None else _intent(row)


async def refused(tx: Transaction, now: datetime, intent: Intent) -> None:
    """Stripe will never make it under this attempt's key."""
    await tx.run(_SQL.refused, now=now, refund_intent_id=intent.refund_intent_id, attempt=intent.attempt)


def _intent(row: Row) -> Intent:
    return Intent(**{field.name: row[field.name] for field in fields(Intent)})

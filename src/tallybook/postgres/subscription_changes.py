"""The door to what was asked to become of a subscription, written down before Stripe is asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tallybook.postgres.pool import Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("subscription_changes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What was asked to become of a subscription; intent and attempt are in the key that Stripe is asked with.

    ``repeated`` says that it had been asked under this key before.
    """

    change_id: int
    intent_id: UUID
    terms: bytes
    attempt: int
    done_at: datetime | None
    repeated: bool


async def intend(
    tx: Transaction,
    now: datetime,
    subscription_id: int,
    *,
    app_id: int,
    key: str | None,
    terms: bytes,
    action: str,
) -> Change:
    """Write down what is to become of a subscription; what was asked under this key before, if it was."""
    row = await tx.maybe(
        _SQL.intend,
        now=now,
        subscription_id=subscription_id,
        app_id=app_id,
        key=key,
        terms=terms,
        action=action,
    )
    repeated = row is None
    if row is None:
        row = await tx.one(_SQL.by_key, subscription_id=subscription_id, app_id=app_id, key=key)
    return Change(
        change_id=row["change_id"],
        intent_id=row["intent_id"],
        terms=row["terms"],
        attempt=row["attempt"],
        done_at=row["done_at"],
        repeated=repeated,
    )


async def next_attempt(tx: Transaction, change: Change) -> None:
    """The call was refused: the next one gets an idempotency key of its own."""
    await tx.run(_SQL.next_attempt, change_id=change.change_id, attempt=change.attempt)


async def done(tx: Transaction, now: datetime, change: Change) -> None:
    """The change was carried out."""
    await tx.run(_SQL.done, now=now, change_id=change.change_id)

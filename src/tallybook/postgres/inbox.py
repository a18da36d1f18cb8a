"""The door to the inbox of Stripe's events: store, lease, settle, look at, replay."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime

from tallybook.domain.errors import FulfilmentBusyError
from tallybook.domain.payments.inbox import ClaimedEvent, EventStatus, Lease, Selection, StoredEvent
from tallybook.domain.payments.reports import ReceivedEvent
from tallybook.postgres.pool import Row, Transaction
from tallybook.postgres.statements import Statements

CHANNEL = "tallybook_inbox"
_SQL = Statements("inbox")
_ERROR_LENGTH_MAX = 1000


async def store(
    tx: Transaction,
    now: datetime,
    event: ReceivedEvent,
    *,
    intake_path: str,
    ignored_as: str | None,
) -> int:
    """Store an event once and wake the workers; gives how often it was delivered.

    With ``ignored_as`` it is recorded with that outcome and never worked on.
    """
    row = await tx.one(
        _SQL.store,
        now=now,
        event_id=event.event_id,
        type=event.type,
        api_version=event.api_version,
        livemode=event.livemode,
        account_id=event.account_id,
        object_id=event.object_id,
        customer_id=event.customer_id,
        stripe_created=event.created,
        intake_path=intake_path,
        raw=event.raw,
        status="ignored" if ignored_as else "received",
        outcome=ignored_as,
    )
    if row["status"] == "received":
        await tx.run(_SQL.wake)
    return int(row["deliveries"])


async def claim(tx: Transaction, now: datetime, *, leased_until: datetime) -> ClaimedEvent | None:
    """Lease the event that has been due longest; None when nothing is due."""
    row = await tx.maybe(_SQL.claim, now=now, leased_until=leased_until)
    if row is None:
        return None
    return ClaimedEvent(
        lease=Lease(event_id=row["event_id"], lease_id=row["lease_id"]),
        type=row["type"],
        object_id=row["object_id"],
        livemode=row["livemode"],
        attempts=row["attempts"],
    )


async def settle(tx: Transaction, now: datetime, lease: Lease, *, status: EventStatus, outcome: str) -> None:
    """Mark a leased event as settled, in the transaction of its effect.

    Raises:
        FulfilmentBusyError: the lease ran out and another worker has it; the effect must roll back.
    """
    row = await tx.maybe(
        _SQL.settle,
        now=now,
        event_id=lease.event_id,
        lease_id=lease.lease_id,
        status=str(status),
        outcome=outcome,
    )
    if row is None:
        raise FulfilmentBusyError


async def fail(
    tx: Transaction,
    now: datetime,
    lease: Lease,
    *,
    error: str,
    next_attempt_at: datetime,
    dead: bool,
) -> None:
    """Put a leased event back for a later try, or among the dead; nothing if the lease was lost."""
    await tx.run(
        _SQL.fail,
        now=now,
        event_id=lease.event_id,
        lease_id=lease.lease_id,
        error=error[:_ERROR_LENGTH_MAX],
        next_attempt_at=next_attempt_at,
        dead=dead,
    )


async def next_due(tx: Transaction) -> datetime | None:
    """When the next event is due; None when nothing waits."""
    row = await tx.one(_SQL.next_due)
    at: datetime | None = row["at"]
    return at


async def one(tx: Transaction, event_id: str) -> tuple[StoredEvent, bytes] | None:
    """One event and its raw body."""
    row = await tx.maybe(_SQL.one, event_id=event_id)
    return None if row is None else (_stored(row), bytes(row["raw"]))


async def newest(tx: Transaction, which: Selection, *, limit: int) -> list[StoredEvent]:
    """The newest events, at most ``limit``."""
    rows = await tx.many(
        _SQL.newest,
        status=None if which.status is None else str(which.status),
        since=which.since,
        until=which.until,
        limit=limit,
    )
    return [_stored(row) for row in rows]


async def replay(tx: Transaction, now: datetime, which: Selection) -> list[str]:
    """Make events due now and wake the workers; gives their ids."""
    rows = await tx.many(
        _SQL.replay,
        now=now,
        event_id=which.event_id,
        status=None if which.status is None else str(which.status),
        since=which.since,
        until=which.until,
    )
    await tx.run(_SQL.wake)
    return [row["event_id"] for row in rows]


def _stored(row: Row) -> StoredEvent:
    values = {field.name: row[field.name] for field in fields(StoredEvent)}
    return StoredEvent(**{**values, "status": EventStatus(row["status"])})

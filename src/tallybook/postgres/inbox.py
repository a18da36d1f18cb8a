"""The door to the inbox of Stripe's events: store, lease, settle, look at, replay."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from tallybook.domain.errors import FulfilmentBusyError
from tallybook.domain.ids import LedgerId
from tallybook.domain.payments.inbox import (
    Act,
    ClaimedEvent,
    Effects,
    EventStatus,
    InboxFigures,
    Lease,
    Selection,
    StoredEvent,
    transfers_in,
)
from tallybook.domain.payments.reports import ReceivedEvent
from tallybook.postgres.pool import Database, Row, Transaction
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
    verified_by: Sequence[str],
    ignored_as: str | None,
) -> tuple[int, bool]:
    """Store an event once; gives how often it was delivered, and whether it waits for a worker (see ``wake``).

    ``verified_by`` are the fingerprints of the secrets that signed it. With ``ignored_as`` it is recorded with that
    outcome and never worked on.
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
        verified_by=sorted(verified_by),
        status="ignored" if ignored_as else "received",
        outcome=ignored_as,
    )
    return int(row["deliveries"]), row["status"] == "received"


def wake(db: Database) -> None:
    """Wake the workers soon; should it be lost, they find what waits within seconds."""
    db.run_soon(_SQL.wake)


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


async def unknown(tx: Transaction, event_ids: Collection[str]) -> set[str]:
    """Which of some events are not in the inbox."""
    rows = await tx.many(_SQL.known, event_ids=list(event_ids))
    return set(event_ids) - {row["event_id"] for row in rows}


async def page(
    tx: Transaction, which: Selection, *, before: StoredEvent | None, limit: int
) -> list[StoredEvent]:
    """At most ``limit`` events that match, newest first, from the one before which another page ended."""
    await tx.run(_SQL.plan_anew)
    rows = await tx.many(
        _SQL.page,
        **_filters(which),
        before_at=None if before is None else before.received_at,
        before_id=None if before is None else before.event_id,
        limit=limit,
    )
    return [_stored(row) for row in rows]


async def count_to_replay(tx: Transaction, which: Selection) -> int:
    """How many events ``replay`` would take."""
    await tx.run(_SQL.plan_anew)
    row = await tx.one(_SQL.count_to_replay, **_filters(which))
    return int(row["events"])


async def replay(
    tx: Transaction, now: datetime, which: Selection, *, after: tuple[datetime, str] | None, limit: int
) -> list[tuple[datetime, str]]:
    """Make at most ``limit`` events due now, oldest first, and wake the workers; gives when each came, and its id."""
    await tx.run(_SQL.plan_anew)
    rows = await tx.many(
        _SQL.replay,
        now=now,
        **_filters(which),
        after_at=None if after is None else after[0],
        after_id=None if after is None else after[1],
        limit=limit,
    )
    await tx.run(_SQL.wake)
    return sorted((row["received_at"], row["event_id"]) for row in rows)


async def give_up(tx: Transaction, now: datetime, event_id: str) -> StoredEvent | None:
    """Put an event that waits or is dead among the dead for good; None when it is not one of these."""
    row = await tx.maybe(_SQL.give_up, now=now, event_id=event_id)
    return None if row is None else _stored(row)


async def effects(tx: Transaction, event: StoredEvent) -> Effects:
    """What an event led to, and what people did to it."""
    acts = [_act(row) for row in await tx.many(_SQL.acts, event_id=event.event_id)]
    lots = await tx.many(_SQL.lots_of_object, object_id=event.object_id)
    posted = [name for act in acts if act.by_event for name in transfers_in(act.after)]
    return Effects(
        acts=tuple(acts),
        transfers=tuple(dict.fromkeys(posted)),
        transfers_of_object=tuple(LedgerId(row["wallet_id"], row["lot_version"]).wire("trf") for row in lots),
    )


async def figures(tx: Transaction, now: datetime) -> InboxFigures:
    """How the inbox fares."""
    row = await tx.one(_SQL.figures, now=now)
    return InboxFigures(**{field.name: row[field.name] for field in fields(InboxFigures)})


def _filters(which: Selection) -> dict[str, Any]:
    return {
        "event_ids": list(which.event_ids) or None,
        "status": None if which.status is None else str(which.status),
        "type": which.type,
        "customer_id": which.customer_id,
        "object_id": which.object_id,
        "since": which.since,
        "until": which.until,
    }


def _act(row: Row) -> Act:
    return Act(
        at=row["at"],
        actor=f"{row['actor_kind']} {row['actor_id']}",
        action=row["action"],
        subject=f"{row['subject_kind']} {row['subject_id']}",
        after=row["after"] or {},
        by_event=row["by_event"],
    )


def _stored(row: Row) -> StoredEvent:
    values = {field.name: row[field.name] for field in fields(StoredEvent)}
    return StoredEvent(
        **{
            **values,
            "status": EventStatus(row["status"]),
            "verified_by": tuple(dict.fromkeys(row["verified_by"])),
        }
    )

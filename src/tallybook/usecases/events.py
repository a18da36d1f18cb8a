"""The inbox of Stripe's events: lease them to workers, put them back, look at them, replay them, give them up.

Taking them in is left to ``intake``.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import structlog

from tallybook.domain.errors import EventNotFoundError, EventSettledError, InvalidRequestError
from tallybook.domain.identity.callers import Caller
from tallybook.domain.payments.inbox import (
    GIVEN_UP,
    ClaimedEvent,
    Effects,
    EventStatus,
    Selection,
    StoredEvent,
    shown,
)
from tallybook.domain.payments.retries import ATTEMPTS_MAX, wait_before_retry
from tallybook.postgres import audit, customers, inbox
from tallybook.postgres.pool import Ear, Transaction
from tallybook.stripe.gateway import configured
from tallybook.usecases.context import Context

_log = structlog.get_logger("tallybook.events")
REPLAY_BATCH = 500
REASON_LENGTH_MAX = 500
# How long the event of a killed worker waits for another; a living worker that takes longer has no effect if it was
# taken over.
LEASE = timedelta(seconds=60)
_CHANCES = 1 << 20


async def identify(ctx: Context) -> None:
    """Write down whose Stripe account and mode this database serves, or refuse another.

    Raises:
        StripeAccountMismatchError: it serves another account or mode.
    """
    found = await configured(ctx.stripe).account()
    async with ctx.db.transaction() as tx:
        await customers.record_account(tx, ctx.clock(), account_id=found.account_id, livemode=ctx.livemode)


async def claim(ctx: Context) -> ClaimedEvent | None:
    """Lease the event that has been due longest; None when nothing is due."""
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        return await inbox.claim(tx, now, leased_until=now + LEASE)


async def ignore(ctx: Context, event: ClaimedEvent, outcome: str) -> None:
    """Settle a leased event without any effect."""
    async with ctx.db.transaction() as tx:
        await inbox.settle(tx, ctx.clock(), event.lease, status=EventStatus.IGNORED, outcome=outcome)


async def fail(ctx: Context, event: ClaimedEvent, error: str) -> None:
    """Put a leased event back for later; after the last attempt it is dead until someone replays it."""
    dead = event.attempts >= ATTEMPTS_MAX
    # Spread, so that events that failed together do not come back together.
    wait = wait_before_retry(event.attempts, secrets.randbelow(_CHANCES) / _CHANCES)
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        await inbox.fail(tx, now, event.lease, error=error, next_attempt_at=now + wait, dead=dead)
    log = _log.error if dead else _log.warning
    log(
        "event_dead" if dead else "event_failed",
        event_id=event.lease.event_id,
        type=event.type,
        attempts=event.attempts,
        error=error,
    )


@asynccontextmanager
async def listening(ctx: Context, heard: Callable[[], None]) -> AsyncIterator[Ear]:
    """Hear of new events while the block runs."""
    async with ctx.db.listening(inbox.CHANNEL, lambda _: heard()) as ear:
        yield ear


async def seconds_until_due(ctx: Context) -> float | None:
    """How long until the next event is due (zero or less: now); None when nothing waits."""
    async with ctx.db.snapshot() as tx:
        at = await inbox.next_due(tx)
    return None if at is None else (at - ctx.clock()).total_seconds()


async def page(
    ctx: Context, caller: Caller, which: Selection, *, after: str | None = None, limit: int
) -> list[StoredEvent]:
    """At most ``limit`` events that match, newest first; ``after`` is the last one of the page before.

    Raises:
        EventNotFoundError: ``after`` is none.
    """
    caller.require_admin()
    async with ctx.db.snapshot() as tx:
        before = None if after is None else (await _one(tx, after))[0]
        return await inbox.page(tx, which, before=before, limit=limit)


async def show(ctx: Context, caller: Caller, event_id: str) -> tuple[StoredEvent, Any, Effects]:
    """One event, its payload without what is secret in it, and what it led to.

    Raises:
        EventNotFoundError: there is none.
    """
    caller.require_admin()
    async with ctx.db.snapshot() as tx:
        event, raw = await _one(tx, event_id)
        return event, shown(json.loads(raw)), await inbox.effects(tx, event)


async def count_to_replay(ctx: Context, caller: Caller, which: Selection) -> int:
    """How many events ``replay`` would have worked on again."""
    caller.require_admin()
    async with ctx.db.snapshot() as tx:
        return await inbox.count_to_replay(tx, _chosen(which))


async def replay(
    ctx: Context,
    caller: Caller,
    which: Selection,
    *,
    progress: Callable[[int], None] = lambda _: None,
    batch: int = REPLAY_BATCH,
) -> list[str]:
    """Have events worked on again, settled ones too; harmless, since effects act once. Gives their ids.

    In batches, each with its line in the audit log; ``progress`` hears of each. What was given up by hand is left out,
    unless it is named.

    Raises:
        InvalidRequestError: nothing was selected.
        EventNotFoundError: nothing matches, or a worker is at it right now.
    """
    caller.require_admin()
    begun = ctx.clock()
    # What comes in meanwhile is worked on anyway.
    last = begun + timedelta(seconds=1)
    which = replace(_chosen(which), until=last if which.until is None else min(which.until, last))
    replayed: list[str] = []
    after = None
    while True:
        async with ctx.db.transaction() as tx:
            found = await inbox.replay(tx, ctx.clock(), which, after=after, limit=batch)
            if found:
                await _audit_replay(ctx, tx, caller, which, [event_id for _, event_id in found])
        replayed.extend(event_id for _, event_id in found)
        progress(len(found))
        if len(found) < batch:
            break
        after = found[-1]
    if not replayed:
        raise EventNotFoundError
    return replayed


async def give_up(ctx: Context, caller: Caller, event_id: str, *, reason: str) -> StoredEvent:
    """Put an event that waits or is dead among the dead for good: only its own replay wakes it.

    Raises:
        InvalidRequestError: no reason is given.
        EventNotFoundError: there is none.
        EventSettledError: it is settled, or a worker is at it right now.
    """
    caller.require_admin()
    reason = reason.strip()
    if not reason or len(reason) > REASON_LENGTH_MAX or not reason.isprintable():
        raise InvalidRequestError(f"Say why, in one line of at most {REASON_LENGTH_MAX} characters.")
    async with ctx.db.transaction() as tx:
        before, _ = await _one(tx, event_id)
        if before.outcome == GIVEN_UP:
            return before
        now = ctx.clock()
        found = await inbox.give_up(tx, now, event_id)
        if found is None:
            raise EventSettledError(event_status=str(before.status))
        was = {"status": str(before.status), "attempts": before.attempts, "last_error": before.last_error}
        after = {"reason": reason}
        await audit.record(
            tx, now, caller.actor, "event.given_up", ("event", event_id), before=was, after=after
        )
    return found


def _chosen(which: Selection) -> Selection:
    if which == Selection():
        raise InvalidRequestError("Say which: event ids, a status, a type, a customer, an object or a time.")
    return which


async def _one(tx: Transaction, event_id: str) -> tuple[StoredEvent, bytes]:
    found = await inbox.one(tx, event_id)
    if found is None:
        raise EventNotFoundError
    return found


async def _audit_replay(
    ctx: Context, tx: Transaction, caller: Caller, which: Selection, event_ids: list[str]
) -> None:
    told = {
        "events": len(event_ids),
        "status": None if which.status is None else str(which.status),
        "type": which.type,
        "customer": which.customer_id,
        "object": which.object_id,
        "since": None if which.since is None else which.since.isoformat(),
        "until": None if which.until is None else which.until.isoformat(),
        "first": event_ids[0],
        "last": event_ids[-1],
    }
    after = {name: value for name, value in told.items() if value is not None}
    if not which.event_ids:
        subject = ("events", str(which.status or "range"))
        await audit.record(tx, ctx.clock(), caller.actor, "events.replayed", subject, after=after)
    for event_id in event_ids if which.event_ids else ():
        await audit.record(tx, ctx.clock(), caller.actor, "event.replayed", ("event", event_id))

"""The inbox of Stripe's events: take them in, lease them to workers, put them back, look at them, replay them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from tallybook.domain.errors import EventNotFoundError, InvalidRequestError, RequestTooLargeError
from tallybook.domain.identity.callers import Caller
from tallybook.domain.payments.handled import left_alone_as
from tallybook.domain.payments.inbox import ClaimedEvent, EventStatus, Selection, StoredEvent
from tallybook.domain.payments.reports import ReceivedEvent
from tallybook.domain.payments.retries import ATTEMPTS_MAX, wait_before_retry
from tallybook.postgres import audit, customers, inbox
from tallybook.postgres.pool import Transaction
from tallybook.stripe.events import verify
from tallybook.stripe.gateway import configured
from tallybook.usecases.context import Context

_log = structlog.get_logger("tallybook.events")
BODY_BYTES_MAX = 256 * 1024
# How long the event of a killed worker waits for another; a living worker that takes longer has no effect if it was
# taken over.
LEASE = timedelta(seconds=60)
_CHANCES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxHealth:
    """Whether each intake path could believe a webhook, and what the inbox holds; never a secret."""

    stripe_configured: bool
    livemode: bool
    paths: dict[str, bool]


async def receive(ctx: Context, *, path: str, raw: bytes, signature: str | None) -> None:
    """Take a webhook in: believed by its signature, stored once, answered when that is committed.

    Foreign types and events of the other mode or of another account are recorded and never worked on.

    Raises:
        RequestTooLargeError: more than 256 KiB.
        WebhookSecretMissingError, WebhookSignatureError, WebhookPayloadError: it is not believed.
    """
    if len(raw) > BODY_BYTES_MAX:
        raise RequestTooLargeError
    event = verify(raw, signature, ctx.webhook_secrets[path], ctx.clock())
    async with ctx.db.transaction() as tx:
        ignored_as = await _ignored_as(ctx, tx, event)
        deliveries = await inbox.store(tx, ctx.clock(), event, intake_path=path, ignored_as=ignored_as)
    _log.info(
        "event_received",
        event_id=event.event_id,
        type=event.type,
        path=path,
        deliveries=deliveries,
        ignored_as=ignored_as,
    )


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
async def listening(ctx: Context, heard: Callable[[], None]) -> AsyncIterator[asyncio.Event]:
    """Hear of new events while the block runs; the event it gives is set when the connection is lost."""
    async with ctx.db.listening(inbox.CHANNEL, lambda _: heard()) as lost:
        yield lost


async def seconds_until_due(ctx: Context) -> float | None:
    """How long until the next event is due (zero or less: now); None when nothing waits."""
    async with ctx.db.snapshot() as tx:
        at = await inbox.next_due(tx)
    return None if at is None else (at - ctx.clock()).total_seconds()


async def newest(ctx: Context, caller: Caller, which: Selection, *, limit: int) -> list[StoredEvent]:
    """The newest events, at most ``limit``."""
    caller.require_admin()
    async with ctx.db.snapshot() as tx:
        return await inbox.newest(tx, which, limit=limit)


async def show(ctx: Context, caller: Caller, event_id: str) -> tuple[StoredEvent, bytes]:
    """One event and its raw body.

    Raises:
        EventNotFoundError: there is none.
    """
    caller.require_admin()
    async with ctx.db.snapshot() as tx:
        found = await inbox.one(tx, event_id)
    if found is None:
        raise EventNotFoundError
    return found


async def replay(ctx: Context, caller: Caller, which: Selection) -> list[str]:
    """Have events worked on again: one, or those of a status or time; harmless, since effects act once.

    Raises:
        InvalidRequestError: nothing was selected.
        EventNotFoundError: nothing matches, or a worker is at it right now.
    """
    caller.require_admin()
    if which == Selection():
        raise InvalidRequestError("Say which: an event id, a status or a time of receipt.")
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        replayed = await inbox.replay(tx, now, which)
        if not replayed:
            raise EventNotFoundError
        await audit.record(
            tx,
            now,
            caller.actor,
            "events.replayed",
            ("event", which.event_id or str(which.status or "range")),
            after={"events": len(replayed), "since": _iso(which.since), "until": _iso(which.until)},
        )
    return replayed


def health(ctx: Context) -> InboxHealth:
    """What is configured, for whoever set the webhook up. Public: yes and no, never a secret."""
    return InboxHealth(
        stripe_configured=ctx.stripe is not None,
        livemode=ctx.livemode,
        paths={path: any(given) for path, given in ctx.webhook_secrets.items()},
    )


async def _ignored_as(ctx: Context, tx: Transaction, event: ReceivedEvent) -> str | None:
    account = await customers.account(tx)
    livemode = ctx.livemode if account is None else account.livemode
    if event.livemode != livemode or event.livemode != ctx.livemode:
        return "other_mode"
    if account is not None and event.account_id not in (None, account.account_id):
        return "other_account"
    return left_alone_as(event.type)


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()

"""Fetches the events that Stripe has and the inbox has not, and stores them as if they had been delivered.

They are fetched with our own key, so nobody signed them; they are kept under a path of their own, and settled by the
same handlers as any other.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from tallybook.domain.payments.handled import HANDLED_TYPES, left_alone
from tallybook.domain.payments.reconciling import Window
from tallybook.domain.payments.reports import ReceivedEvent
from tallybook.postgres import customers, inbox, reconciling
from tallybook.postgres.pool import Transaction
from tallybook.stripe import listings
from tallybook.stripe.gateway import configured
from tallybook.usecases.context import Context

FETCHED = "fetched"
"""The intake path of what was fetched: nobody signed it."""

_log = structlog.get_logger("tallybook.reconciling")
_SLICE = timedelta(days=1)
_OVERLAP = timedelta(hours=1)
_KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A part of the time was looked through: how many events Stripe has there, how many of them were missing here."""

    until: datetime
    events: int
    missing: int


async def window(ctx: Context, until: datetime) -> Window:
    """The time whose events are not known to be here: since the cursor, as far back as Stripe lists them."""
    async with ctx.db.snapshot() as tx:
        at = (await reconciling.cursor(tx)).events_until
    oldest = until - _KEPT
    return Window(oldest if at is None else max(oldest, min(at, until) - _OVERLAP), until)


async def fetch(ctx: Context, wanted: Window, *, applies: bool) -> AsyncIterator[Fetched]:
    """Look through a time, day by day from the oldest; with ``applies`` what is missing is stored.

    The cursor moves with each day, so that whoever goes on after a crash need not begin again. Events of types that
    nobody works on are not asked for.

    Raises:
        StripeUnavailableError, StripeRefusedError, DatabaseUnavailableError: try again.
    """
    stripe = configured(ctx.stripe)
    since = wanted.since
    while since < wanted.until:
        until = min(since + _SLICE, wanted.until)
        seen = missing = 0
        async for page in listings.events(stripe, Window(since, until), sorted(HANDLED_TYPES)):
            seen += len(page)
            missing += await _store(ctx, page, applies=applies)
        if applies:
            async with ctx.db.transaction() as tx:
                await reconciling.advance(tx, events_until=until)
        yield Fetched(until=until, events=seen, missing=missing)
        since = until


async def _store(ctx: Context, page: Sequence[ReceivedEvent], *, applies: bool) -> int:
    async with ctx.db.transaction() as tx:
        unknown = await inbox.unknown(tx, [event.event_id for event in page])
        missing = [event for event in page if event.event_id in unknown]
        # Stripe lists the newest first; they are worked on in the order they were stored.
        for event in reversed(missing) if applies else ():
            await _stored(ctx, tx, event)
    if missing and applies:
        inbox.wake(ctx.db)
        _log.warning("events_had_not_come", events=len(missing), first=missing[-1].event_id)
    return len(missing)


async def _stored(ctx: Context, tx: Transaction, event: ReceivedEvent) -> None:
    account = await customers.account(tx)
    ignored_as = left_alone(
        event.type,
        same_mode=event.livemode == ctx.livemode,
        same_account=account is None or event.account_id in (None, account.account_id),
    )
    await inbox.store(tx, ctx.clock(), event, intake_path=FETCHED, verified_by=(), ignored_as=ignored_as)

"""Reconciles: fetches the events that never came, compares objects, and mends what differs by the webhooks' use cases.

Here and not in a use case, since it calls many of them. One runs at a time; after a crash, what was done is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

import structlog

from tallybook.domain.errors import BillingError, ReconciliationBusyError
from tallybook.domain.identity.callers import Caller
from tallybook.domain.payments.reconciling import Ending, Finding, Repair, Run, Severity, Window
from tallybook.usecases import events as inbox_events
from tallybook.usecases import fulfilment, money_back
from tallybook.usecases.cards import settling as cards_settling
from tallybook.usecases.context import Context
from tallybook.usecases.reconciling import days, events, objects, runs
from tallybook.usecases.subscriptions import settling
from tallybook.worker.inbox import work_off

_log = structlog.get_logger("tallybook.reconciling")
_LOOK_SECONDS = 5.0
HOUSE = Caller(is_admin=True)
Progress = Callable[[str, int], None]
"""Hears of each step: what is being done, and how many more of it were done just now."""


@dataclass(slots=True)
class _Counted:
    """What a run counts as it goes."""

    events_fetched: int = 0
    events_missing: int = 0
    objects_compared: int = 0
    found: int = 0
    repaired: int = 0
    totals: list[dict[str, object]] = field(default_factory=list)

    def ending(self, status: str, error: str | None = None) -> Ending:
        """How it ended."""
        return Ending(
            status=status,
            events_fetched=self.events_fetched,
            events_missing=self.events_missing,
            objects_compared=self.objects_compared,
            found=self.found,
            repaired=self.repaired,
            totals=self.totals,
            error=error,
        )


async def reconcile(
    ctx: Context,
    run: Run,
    *,
    grace: timedelta = runs.GRACE,
    progress: Progress = lambda _, __: None,
) -> Run:
    """Carry out what was asked for; gives it as it ended.

    Raises:
        StripeAccountMismatchError: the key is another account's. ReconciliationBusyError: another one runs.
        StripeUnavailableError, StripeRefusedError, DatabaseUnavailableError: it failed; ask again.
    """
    await inbox_events.identify(ctx)
    async with runs.alone(ctx):
        begun, window = await runs.begin(ctx, run, grace=grace)
        counted = _Counted()
        try:
            await _events(ctx, begun, window.until, counted, progress)
            await _compare(ctx, begun, window, counted, progress)
            if begun.applies:
                await _mend(ctx, begun, counted, progress)
        except Exception as failure:
            said = failure.message if isinstance(failure, BillingError) else type(failure).__name__
            await runs.end(ctx, begun, counted.ending("failed", said))
            raise
        # Only what was looked at from where the last one ended moves the cursor.
        whole = begun.applies and run.since is None
        ended = await runs.end(
            ctx, begun, counted.ending("done"), compared_until=window.until if whole else None
        )
    level = _log.warning if ended.differences else _log.info
    level(
        "reconciled",
        reconciliation=ended.reconciliation_id,
        applies=ended.applies,
        events_missing=ended.events_missing,
        found=ended.found,
        repaired=ended.repaired,
        differences=ended.differences,
    )
    return ended


async def mend(ctx: Context, finding: Finding) -> str:
    """Settle a finding by the use case that a webhook would have run; gives its outcome in a word."""
    object_id = finding.repair_object
    assert object_id is not None, finding
    if finding.repair is Repair.CHECKOUT:
        await settling.settle_session(ctx, object_id)
        return (await fulfilment.settle_checkout(ctx, object_id)).outcome
    if finding.repair is Repair.INVOICE:
        return (await settling.settle_invoice(ctx, object_id)).outcome
    if finding.repair is Repair.SUBSCRIPTION:
        # With the newest invoice: what is active again was paid.
        return (await settling.refresh(ctx, HOUSE, object_id)).outcome
    assert finding.repair is Repair.MONEY_BACK, finding
    settled = await money_back.settle_payment_intent(ctx, object_id)
    if settled.unsettled_payment is None:
        return settled.outcome
    started_here = await cards_settling.settle(ctx, settled.unsettled_payment)
    if started_here is not None:
        return str(started_here[0].status)
    return (await fulfilment.settle_payment(ctx, settled.unsettled_payment)).outcome


async def keep_reconciled(ctx: Context, stop: asyncio.Event, *, look_seconds: float = _LOOK_SECONDS) -> None:
    """Run what admins ask for, and each night one that mends, until ``stop`` is set."""
    while not stop.is_set():
        try:
            run = await runs.next_requested(ctx)
            if run is None and await runs.due(ctx):
                run = await runs.request(ctx, HOUSE, applies=True)
            if run is not None and ctx.stripe is not None:
                await reconcile(ctx, run)
        except ReconciliationBusyError:
            _log.info("reconciliation_waits")
        except BillingError as refusal:
            _log.warning("reconciliation_failed", code=refusal.code, reason=refusal.message)
        except Exception:
            # Payments are settled beside this: it must be heard of, and must not stop them.
            _log.exception("reconciliation_failed")
        try:
            await asyncio.wait_for(stop.wait(), look_seconds)
        except TimeoutError:
            continue


async def _events(ctx: Context, run: Run, until: datetime, counted: _Counted, progress: Progress) -> None:
    wanted = await events.window(ctx, until)
    async for part in events.fetch(ctx, wanted, applies=run.applies):
        counted.events_fetched += part.events
        counted.events_missing += part.missing
        progress("Events", part.events)
    if run.applies and counted.events_missing:
        progress("Settling what had not come", await work_off(ctx))


async def _compare(ctx: Context, run: Run, window: Window, counted: _Counted, progress: Progress) -> None:
    async for compared in objects.compare(ctx, window):
        counted.objects_compared += compared.objects
        counted.found += len(compared.findings)
        await runs.note(ctx, run, compared.findings, compared.agreeing)
        progress(f"{compared.kind}".replace("_", " ").capitalize() + "s", compared.objects)
    sums, compared = await days.totals_of(ctx, window)
    counted.found += len(compared.findings)
    counted.totals = [asdict(one) for one in sums]
    await runs.note(ctx, run, compared.findings, compared.agreeing)
    progress("Days", len(sums))


async def _mend(ctx: Context, run: Run, counted: _Counted, progress: Progress) -> None:
    """Mend all that is open and can be, and look again: only what agrees then is repaired.

    What nobody but people can mend is looked at again too; a notice is not.
    """
    async for known in runs.everything_open(ctx):
        finding = known.finding
        if finding.severity is Severity.NOTICE:
            continue
        outcome, agrees = await _mended(ctx, finding)
        if finding.repair is not None:
            await runs.mended(ctx, finding, outcome=outcome, repaired=agrees)
            counted.repaired += agrees
        elif agrees:
            await runs.note(ctx, run, [], [finding.object_id])
        progress("Repairs", 1)


async def _mended(ctx: Context, finding: Finding) -> tuple[str, bool]:
    """What mending did, in a word, and whether the object agrees now."""
    try:
        outcome = "" if finding.repair is None else await mend(ctx, finding)
        left = await objects.again(ctx, finding)
    except BillingError as refusal:
        return f"{refusal.code}: {refusal.message}", False
    return outcome, not any(one.code == finding.code for one in left)

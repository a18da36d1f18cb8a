"""The worker: a few lanes that lease due events and have them handled until they are told to stop.

PostgreSQL's NOTIFY wakes the lanes; polling finds what a lost notification, a retry or a dead worker left.
"""

from __future__ import annotations

import asyncio

import structlog

from tallybook.domain.errors import BillingError
from tallybook.usecases import anchors, events, housekeeping
from tallybook.usecases.context import Context
from tallybook.worker.alerts import watch_alerts
from tallybook.worker.inbox import settle, work_off
from tallybook.worker.reconciling import keep_reconciled
from tallybook.worker.settling import settle_what_is_due
from tallybook.worker.topping_up import top_up

__all__ = ["run_worker", "settle", "work_off"]
_log = structlog.get_logger("tallybook.worker")
LANES = 4
POLL_SECONDS = 5.0
_ASKED_EVERY_SECONDS = 15.0
_ANSWERS_WITHIN_SECONDS = 5.0
_PAUSE_SECONDS = 1.0
_IDENTIFY_SECONDS = 5.0
_HOUSEKEEPING_SECONDS = 3600.0
_ANCHORS_SECONDS = 60.0


async def run_worker(
    ctx: Context, stop: asyncio.Event, *, lanes: int = LANES, poll_seconds: float = POLL_SECONDS
) -> None:
    """Work until ``stop`` is set; what was begun is finished first."""
    async with asyncio.TaskGroup() as group:
        # The ledger is anchored whether or not Stripe can be reached.
        anchoring = group.create_task(_keep_anchors(ctx, stop))
        if await _identified(ctx, stop):
            await _settle_events(ctx, stop, lanes, poll_seconds)
        anchoring.cancel()


async def _settle_events(ctx: Context, stop: asyncio.Event, lanes: int, poll_seconds: float) -> None:
    wake = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        helpers = [
            group.create_task(_listen(ctx, stop, wake)),
            group.create_task(_keep_house(ctx, stop)),
            group.create_task(watch_alerts(ctx, stop)),
            group.create_task(settle_what_is_due(ctx, stop)),
            group.create_task(keep_reconciled(ctx, stop)),
        ]
        if ctx.stripe is not None:
            helpers.append(group.create_task(top_up(ctx, stop)))
        workers = [group.create_task(_lane(ctx, stop, wake, poll_seconds)) for _ in range(lanes)]
        await stop.wait()
        wake.set()
        await asyncio.gather(*workers)
        for helper in helpers:
            helper.cancel()


async def _lane(ctx: Context, stop: asyncio.Event, wake: asyncio.Event, poll_seconds: float) -> None:
    while not stop.is_set():
        try:
            event = await events.claim(ctx)
            if event is not None:
                await settle(ctx, event)
                continue
            wake.clear()
            due = await events.seconds_until_due(ctx)
        except BillingError as refusal:
            _log.warning("worker_waits", code=refusal.code)
            await _sleep(stop, _PAUSE_SECONDS)
            continue
        except Exception:
            # A lane that ended would end silently, and payments would wait; this one is heard in the log.
            _log.exception("worker_lane_failed")
            await _sleep(stop, _PAUSE_SECONDS)
            continue
        if stop.is_set():
            return
        await _sleep(wake, poll_seconds if due is None else min(poll_seconds, max(due, 0.05)))


async def _sleep(until: asyncio.Event, seconds: float) -> None:
    """Wait for the event, at most so long."""
    try:
        await asyncio.wait_for(until.wait(), seconds)
    except TimeoutError:
        return


async def _listen(ctx: Context, stop: asyncio.Event, wake: asyncio.Event) -> None:
    """Keep listening, also after the database was away."""
    while not stop.is_set():
        try:
            async with events.listening(ctx, wake.set) as ear:
                wake.set()
                while not await ear.wait(seconds=_ASKED_EVERY_SECONDS):
                    # A connection may be dead without knowing it: then this fails, and another one listens.
                    await ear.ask(seconds=_ANSWERS_WITHIN_SECONDS)
        except BillingError as refusal:
            _log.warning("worker_does_not_hear", code=refusal.code)
        await _sleep(stop, _PAUSE_SECONDS)


async def _keep_house(ctx: Context, stop: asyncio.Event) -> None:
    """Now and then, do what nobody waits for."""
    while not stop.is_set():
        try:
            forgotten = await housekeeping.forget_secrets(ctx)
        except BillingError as refusal:
            _log.warning("housekeeping_waits", code=refusal.code)
        else:
            if forgotten:
                _log.info("secrets_forgotten", answers=forgotten)
        await _sleep(stop, _HOUSEKEEPING_SECONDS)


async def _keep_anchors(ctx: Context, stop: asyncio.Event) -> None:
    """Export an anchor whenever one is due; what fails is said each time and tried again in a minute."""
    while ctx.anchors_dir is not None and not stop.is_set():
        try:
            exported = await anchors.export_when_due(ctx)
        except BillingError as refusal:
            _log.error("anchor_not_exported", code=refusal.code, reason=refusal.message, **refusal.facts)
        except Exception:
            _log.exception("anchor_not_exported")
        else:
            if exported is not None:
                _log.info(
                    "anchor_exported",
                    file=exported.path.name,
                    digest=exported.digest,
                    transfers=exported.transfers,
                    refusals=exported.refusals,
                )
        await _sleep(stop, min(_ANCHORS_SECONDS, ctx.anchor_every_seconds))


async def _identified(ctx: Context, stop: asyncio.Event) -> bool:
    """Wait until Stripe has said whose account this is and the database agrees; False when told to stop before.

    With another account's key every session would look unknown, and paid ones would be given up.
    """
    while ctx.stripe is not None and not stop.is_set():
        try:
            await events.identify(ctx)
        except BillingError as refusal:
            _log.error("stripe_account_not_confirmed", code=refusal.code, hint=refusal.message)
            await _sleep(stop, _IDENTIFY_SECONDS)
        else:
            return True
    return not stop.is_set()

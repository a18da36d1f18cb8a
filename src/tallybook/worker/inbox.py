"""Handles leased events of the inbox, each put back with what went wrong; lanes and schedules are left to others."""

from __future__ import annotations

import structlog

from tallybook.domain.errors import BillingError
from tallybook.domain.payments.inbox import ClaimedEvent
from tallybook.usecases import events
from tallybook.usecases.context import Context
from tallybook.worker.handlers import handle

_log = structlog.get_logger("tallybook.worker")


async def work_off(ctx: Context) -> int:
    """Handle every event that is due now, one after another; gives how many."""
    handled = 0
    while (event := await events.claim(ctx)) is not None:
        await settle(ctx, event)
        handled += 1
    return handled


async def settle(ctx: Context, event: ClaimedEvent) -> None:
    """Handle one leased event, or put it back with what went wrong."""
    with structlog.contextvars.bound_contextvars(event_id=event.lease.event_id, type=event.type):
        try:
            await handle(ctx, event)
        except BillingError as refusal:
            await events.fail(ctx, event, f"{refusal.code}: {refusal.message}")
        except Exception as bug:
            # A bug in one handler must not stop the others: the event keeps it, and dies of it in the end.
            _log.exception("handler_failed")
            await events.fail(ctx, event, f"{type(bug).__name__}: {bug}")

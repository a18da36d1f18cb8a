"""Settles what was left behind: holds whose time is over by their policy, lots that have expired.

A spend settles its own wallet first, so nothing waits for this; it is for the wallets that nobody touches.
"""

from __future__ import annotations

import asyncio

import structlog

from tallybook.domain.errors import BillingError
from tallybook.usecases import holds
from tallybook.usecases.context import Context

_log = structlog.get_logger("tallybook.worker")
ROUND_SECONDS = 1.0


async def settle_what_is_due(
    ctx: Context, stop: asyncio.Event, *, round_seconds: float = ROUND_SECONDS
) -> None:
    """Look for what is due, again and again, until ``stop`` is set."""
    while not stop.is_set():
        try:
            settled = await holds.settle_due(ctx)
        except BillingError as refusal:
            _log.warning("settling_waits", code=refusal.code)
        except Exception:
            # Payments are settled beside this: it must be heard of, and must not stop them.
            _log.exception("settling_failed")
        else:
            if settled:
                _log.info("settled_what_was_due", holds_and_lots=settled)
        try:
            await asyncio.wait_for(stop.wait(), round_seconds)
        except TimeoutError:
            continue

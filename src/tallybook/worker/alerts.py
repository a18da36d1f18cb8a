"""Evaluates the spend alerts, pass after pass, at a small share of one connection: what it costs does not grow."""

from __future__ import annotations

import asyncio
import time

import structlog

from tallybook.domain.alerts.alerts import Verdict
from tallybook.domain.errors import BillingError
from tallybook.usecases import alerts
from tallybook.usecases.context import Context

_log = structlog.get_logger("tallybook.worker")
_ROUND_SECONDS = 1.0
"""How long to rest after a round, when nothing lags behind, and after a mishap."""
_REST = {Verdict.MORE: 20.0, Verdict.BEHIND: 1.0}
"""How many times as long as a pass took to rest after it: a twentieth of a connection, or a half to catch up."""
_REST_SECONDS_MIN = 0.01


async def watch_alerts(ctx: Context, stop: asyncio.Event, *, round_seconds: float = _ROUND_SECONDS) -> None:
    """Go round the wallets until ``stop`` is set."""
    while not stop.is_set():
        begun = time.monotonic()
        rest = round_seconds
        try:
            done = await alerts.evaluate(ctx)
        except BillingError as refusal:
            _log.warning("alerts_wait", code=refusal.code)
        except Exception:
            # Payments are settled beside this: it must be heard of, and must not stop them.
            _log.exception("alerts_failed")
        else:
            if done.announced:
                _log.info("alerts_announced", announcements=done.announced)
            if done.verdict in _REST:
                took = time.monotonic() - begun
                rest = min(round_seconds, max(_REST_SECONDS_MIN, took * _REST[done.verdict]))
        try:
            await asyncio.wait_for(stop.wait(), rest)
        except TimeoutError:
            continue

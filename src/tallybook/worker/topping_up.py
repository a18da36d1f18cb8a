"""Charges saved cards of wallets that fell below their threshold, round after round, beside everything else.

As with alerts, posting does not know of it: rounds look at the wallets that have a rule, at a small share of one
connection, so a charge begins at most about a second after the spend that made it due.
"""

from __future__ import annotations

import asyncio
import time

import structlog

from tallybook.domain.errors import BillingError
from tallybook.usecases.cards import beginning, charging
from tallybook.usecases.context import Context

_log = structlog.get_logger("tallybook.worker")
ROUND_SECONDS = 1.0
_REST = 20.0
"""How many times as long as looking took to rest after it, when nobody was due: a twentieth of a connection."""
_REST_SECONDS_MAX = 60.0
_AT_ONCE = 8
"""How many cards are charged at the same time; Stripe takes a second for each."""


async def top_up(ctx: Context, stop: asyncio.Event, *, round_seconds: float = ROUND_SECONDS) -> None:
    """Go round the rules until ``stop`` is set."""
    while not stop.is_set():
        begun = time.monotonic()
        rest = round_seconds
        try:
            charged = await top_up_once(ctx)
        except BillingError as refusal:
            _log.warning("top_ups_wait", code=refusal.code)
        except Exception:
            # Payments are settled beside this: it must be heard of, and must not stop them.
            _log.exception("top_ups_failed")
        else:
            if charged:
                _log.info("top_ups_charged", charges=charged)
            else:
                took = time.monotonic() - begun
                rest = max(round_seconds, min(_REST_SECONDS_MAX, took * _REST))
        try:
            await asyncio.wait_for(stop.wait(), rest)
        except TimeoutError:
            continue


async def top_up_once(ctx: Context) -> int:
    """One round: what is not known yet is taken up again, then whoever is due is charged; gives how many charges."""
    charged = await charging.carry_on(ctx)
    after = 0
    while wallets := await beginning.due(ctx, after=after, limit=_AT_ONCE):
        outcomes = await asyncio.gather(
            *(charging.charge(ctx, wallet_id) for wallet_id in wallets), return_exceptions=True
        )
        for wallet_id, outcome in zip(wallets, outcomes, strict=True):
            if isinstance(outcome, Exception):
                # It must be heard of, and must not keep the wallets after it waiting; what it began is taken up again.
                _log.error("top_up_failed", wallet=wallet_id, exc_info=outcome)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                charged += outcome is not None
        after = wallets[-1]
    return charged

"""The lease on a Stripe customer: whoever lost it cannot commit what they learned about the customer meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from tallybook.domain.clock import Clock
from tallybook.domain.errors import BillingError, FulfilmentBusyError
from tallybook.postgres.pool import Database, Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("fences")
_log = structlog.get_logger("tallybook.fences")
# How long a killed handler keeps others waiting. A living one may take longer: it only loses the lease if somebody
# else took it meanwhile, and then has no effect.
_LIFETIME = timedelta(seconds=30)
_PATIENCE_SECONDS = 10.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """A lease on a Stripe customer: who finds another number than theirs has lost it."""

    stripe_customer_id: str
    fence: int


@asynccontextmanager
async def fenced(db: Database, clock: Clock, stripe_customer_id: str) -> AsyncIterator[Fence]:
    """Hold the lease on a customer; waits a few seconds for it.

    Raises:
        FulfilmentBusyError: somebody else holds it all the time.
    """
    fence = await _waited_for(db, clock, stripe_customer_id)
    try:
        yield fence
    finally:
        try:
            async with db.transaction() as tx:
                await tx.run(
                    _SQL.give_fence_back,
                    now=clock(),
                    stripe_customer_id=fence.stripe_customer_id,
                    fence=fence.fence,
                )
        except BillingError as refusal:
            # It runs out by itself; what was committed stays committed.
            _log.warning("fence_not_given_back", code=refusal.code)


async def hold_fence(tx: Transaction, fence: Fence) -> None:
    """Lock the lease until the transaction ends.

    Raises:
        FulfilmentBusyError: it ran out and somebody else took it; what we know may be old.
    """
    row = await tx.maybe(_SQL.hold_fence, stripe_customer_id=fence.stripe_customer_id, fence=fence.fence)
    if row is None:
        raise FulfilmentBusyError


async def _waited_for(db: Database, clock: Clock, stripe_customer_id: str) -> Fence:
    loop = asyncio.get_running_loop()
    until = loop.time() + _PATIENCE_SECONDS
    while True:
        async with db.transaction() as tx:
            found = await _taken(tx, clock(), stripe_customer_id)
        if found is not None:
            return found
        if loop.time() >= until:
            raise FulfilmentBusyError
        await asyncio.sleep(_POLL_SECONDS)


async def _taken(tx: Transaction, now: datetime, stripe_customer_id: str) -> Fence | None:
    row = await tx.maybe(
        _SQL.take_fence, now=now, stripe_customer_id=stripe_customer_id, leased_until=now + _LIFETIME
    )
    return None if row is None else Fence(stripe_customer_id=stripe_customer_id, fence=row["fence"])

"""Who overspends: 100 credits, 32 spends of 10 at once. Ten may be accepted, and no more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from bench.ground import Ground
from bench.plan import Plan
from bench.ways import ours, row_lock, seeds
from bench.ways.lanes import Lanes
from tallybook.postgres.pool import Database

CREDITS = 100
EACH = 10
AT_ONCE = 32
RIGHT = CREDITS // EACH


@dataclass(frozen=True, slots=True)
class Trials:
    """How many of the spends a way accepted in each trial."""

    way: str
    accepted: list[int]

    @property
    def right(self) -> bool:
        """Whether each trial accepted exactly what the wallet had."""
        return set(self.accepted) == {RIGHT}


Spend = Callable[[int, int], Awaitable[bool]]


async def demonstrate(ground: Ground, plan: Plan, db: Database) -> list[Trials]:
    """A fresh wallet for each trial and way; a first trial, not counted, opens all connections."""
    wallets = list(range(plan.overspend_trials + 1))
    seeds.prepare(ground.compared_url, "seeds_over", wallets, CREDITS)
    row_lock.prepare(ground.compared_url, "row_lock_over", wallets, CREDITS)
    users = ours.open_users(ground.product_url, 2 * len(wallets))
    opened = await ours.open_wallets(db, ground.product_url, users, CREDITS)
    async with AsyncExitStack() as stack:
        lanes = await stack.enter_async_context(Lanes.opened(ground.compared_url, AT_ONCE))
        simple = seeds.SeedsWay(lanes, "seeds_over")
        locked = row_lock.RowLockWay(lanes, "row_lock_over")
        single = ours.OursWay(db, ground.product_url, keys="over-")
        grouped = ours.GroupCommitWay(db, ground.product_url, AT_ONCE)
        stack.push_async_callback(grouped.close)
        return [
            await _trials(simple.name, simple.spend, wallets),
            await _trials(locked.name, locked.spend, wallets),
            await _trials(single.name, single.spend, opened[: len(wallets)]),
            await _trials(grouped.name, grouped.spend, opened[len(wallets) :]),
        ]


async def _trials(way: str, spend: Spend, wallets: list[int]) -> Trials:
    accepted = []
    for wallet in wallets:
        answers = await asyncio.gather(*(spend(wallet, EACH) for _ in range(AT_ONCE)))
        accepted.append(sum(answers))
    return Trials(way, accepted[1:])

"""Two lanes: a wallet that somebody's open transaction holds delays those who want that wallet, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import psycopg
import pytest
from databases import TestDatabase

from tallybook.domain.errors import WalletBusyError
from tallybook.domain.identity.callers import Caller
from tallybook.domain.money import Credits
from tallybook.postgres.pool import Database
from tallybook.usecases import holds, users, wallets
from tallybook.usecases.context import Context

OPERATOR = Caller(is_admin=True)


async def a_user(ctx: Context, email: str) -> int:
    user = await users.create_user(ctx, email, "a good long password")
    await wallets.grant(ctx, OPERATOR, user_id=user.user_id, credits=Credits.whole(1000), key=None)
    return user.user_id


@asynccontextmanager
async def held_wallet(database: TestDatabase, user_id: int) -> AsyncIterator[None]:
    """Somebody else's open transaction on a user's wallet."""
    connection = await psycopg.AsyncConnection.connect(database.superuser_url)
    async with connection:
        await connection.execute(
            "SELECT 1 FROM tallybook.wallets WHERE owner_user_id = %s FOR UPDATE", [user_id]
        )
        yield
        await connection.rollback()


async def test_a_held_wallet_delays_nobody_else(ctx: Context, database: TestDatabase) -> None:
    stuck, free = await a_user(ctx, "stuck@example.com"), await a_user(ctx, "free@example.com")

    async def spend(user_id: int, number: int) -> object:
        return await wallets.spend(ctx, OPERATOR, user_id=user_id, credits=Credits.whole(1), key=f"k{number}")

    async with held_wallet(database, stuck):
        waiting = [asyncio.create_task(spend(stuck, number)) for number in range(60)]
        await asyncio.sleep(0.5)
        await asyncio.gather(*(spend(free, number) for number in range(60)))
        still_waiting = [task for task in waiting if not task.done()]
    late = await asyncio.gather(*waiting, return_exceptions=True)

    assert still_waiting, "nobody waited: the wallet was not held"
    assert all(isinstance(answer, WalletBusyError) or not isinstance(answer, Exception) for answer in late)
    after = await wallets.wallet_of_user(ctx, OPERATOR, stuck)
    accepted = sum(not isinstance(answer, Exception) for answer in late)
    assert after.available_micro == (1000 - accepted) * 1_000_000


async def test_heartbeats_of_a_held_wallet_delay_nobody_else(ctx: Context, database: TestDatabase) -> None:
    stuck, free = await a_user(ctx, "stuck@example.com"), await a_user(ctx, "free@example.com")
    hold = await wallets.place_hold(ctx, OPERATOR, user_id=stuck, credits=Credits.whole(1), key="h")
    assert hold.hold is not None

    async with held_wallet(database, stuck):
        beats = [
            asyncio.create_task(holds.extend(ctx, OPERATOR, hold.hold, lifetime_seconds=60))
            for _ in range(60)
        ]
        await asyncio.sleep(0.5)
        async with asyncio.timeout(1):
            await wallets.grant(ctx, OPERATOR, user_id=free, credits=Credits.whole(1), key="g")
        still_waiting = [beat for beat in beats if not beat.done()]
    await asyncio.gather(*beats, return_exceptions=True)

    assert still_waiting, "nobody waited: the wallet was not held"


async def test_a_wallet_that_stays_held_is_said_to_be_busy(ctx: Context, database: TestDatabase) -> None:
    brief = await Database.connect(database.service_url, patience_ms=200)
    user_id = await a_user(ctx, "stuck@example.com")
    try:
        async with held_wallet(database, user_id):
            with pytest.raises(WalletBusyError):
                await wallets.spend(
                    replace(ctx, db=brief), OPERATOR, user_id=user_id, credits=Credits.whole(1), key="k"
                )
    finally:
        await brief.close()

    again = await wallets.spend(ctx, OPERATOR, user_id=user_id, credits=Credits.whole(1), key="k")
    assert not again.replayed

"""Statements that nobody waits for: once for all who want them meanwhile, and not lost when the service closes."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio
from databases import TestDatabase

from tallybook.postgres import inbox
from tallybook.postgres.pool import Database


@pytest_asyncio.fixture
async def listener(database: TestDatabase) -> Database:
    """Connections of somebody else."""
    return await Database.connect(database.service_url)


@pytest.mark.timeout(60)
async def test_who_wants_the_workers_woken_at_the_same_time_wakes_them_once(
    database: TestDatabase, listener: Database
) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    db = await Database.connect(database.service_url)

    async with listener.listening(inbox.CHANNEL, heard.put_nowait):
        for _ in range(200):
            inbox.wake(db)
        await heard.get()
        inbox.wake(db)
        await heard.get()
        # What was wanted last is still done when the service closes.
        inbox.wake(db)
        await db.close()
        await heard.get()

        assert heard.empty()
    await listener.close()


async def test_while_the_database_is_away_nobody_fails_because_of_it(database: TestDatabase) -> None:
    db = await Database.connect(database.service_url)
    await db.close()

    inbox.wake(db)

    assert db._running_soon is not None
    await asyncio.wait_for(db._running_soon, 30)
    assert db._running_soon is None

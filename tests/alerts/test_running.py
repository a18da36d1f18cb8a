"""Alerts as they run: the worker announces by itself, and goes on after the database was away."""

from __future__ import annotations

import asyncio
import time

import psycopg
from alerts.desk import Desk, low_balance

from tallybook.worker.main import run_worker


async def _eventually(desk: Desk, wallet: int, times: int) -> None:
    deadline = time.monotonic() + 15
    while len(desk.announced(wallet)) < times:
        assert time.monotonic() < deadline, desk.announced()
        await asyncio.sleep(0.05)


async def test_the_worker_announces_and_goes_on_after_the_database_threw_it_out(desk: Desk) -> None:
    wallet = await desk.a_wallet(credits=20)
    await desk.set_alert(wallet, low_balance(10))
    stop = asyncio.Event()
    workers = [asyncio.create_task(run_worker(desk.ctx, stop)) for _ in range(2)]

    await desk.spend(wallet, 15)
    await _eventually(desk, wallet, 1)
    with psycopg.connect(desk.database.superuser_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    await asyncio.sleep(1)
    await desk.grant(wallet, 15)
    await desk.spend(wallet, 15)
    await _eventually(desk, wallet, 2)
    stop.set()
    await asyncio.wait_for(asyncio.gather(*workers), 20)

    assert len(desk.announced(wallet)) == 2

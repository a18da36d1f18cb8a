"""The worker as it runs: woken by a notification, kept up by polling, stopped politely."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from payments.desk import Till
from tallybook.worker.main import run_worker

pytestmark = pytest.mark.timeout(60)


@asynccontextmanager
async def working(till: Till, **how: Any) -> AsyncIterator[None]:
    """A worker for the length of the block."""
    stop = asyncio.Event()
    task = asyncio.create_task(run_worker(till.ctx, stop, **how))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


async def eventually(till: Till, credits: int, seconds: float = 10.0) -> float:
    """Wait until the customer has so many credits; gives how long it took."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        if till.credits() == credits:
            return time.monotonic() - begun
        await asyncio.sleep(0.02)
    raise AssertionError(f"{till.credits()} credits, not {credits}: {till.inbox()}")


async def paid_event(till: Till, reference: str = "package_starter") -> dict[str, Any]:
    """A checkout that was just paid: its completed event."""
    checkout = await till.open(reference)
    till.pay(checkout)
    [event] = [e for e in till.events(checkout) if e["type"] == "checkout.session.completed"]
    return event


async def test_a_notification_wakes_a_worker_that_would_poll_in_an_hour(till: Till) -> None:
    event = await paid_event(till)

    async with working(till, poll_seconds=3600.0):
        await asyncio.sleep(1.0)
        await till.deliver(event)
        took = await eventually(till, 1000)

    assert took < 3.0


async def test_an_event_that_nobody_announced_is_found_by_polling(till: Till) -> None:
    event = await paid_event(till)
    await till.deliver(event)
    till.ask("UPDATE tallybook.stripe_events SET next_attempt_at = now() + '1 second', status = 'retry'")

    async with working(till, poll_seconds=0.2):
        await eventually(till, 1000)


async def test_a_worker_goes_on_after_the_database_threw_it_out(till: Till) -> None:
    first, second = await paid_event(till, "pack_100"), await paid_event(till, "pack_250")

    async with working(till, poll_seconds=0.3):
        await till.deliver(first)
        await eventually(till, 100)
        till.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await asyncio.sleep(0.5)
        await till.deliver(second)
        await eventually(till, 350)


async def test_two_workers_share_the_work_and_grant_each_payment_once(till: Till) -> None:
    events = [await paid_event(till, "pack_100") for _ in range(6)]

    async with working(till), working(till):
        for event in events:
            await till.deliver(event)
        await eventually(till, 600)

    assert till.grants() == 6
    assert {status for _, status, _ in till.inbox()} == {"done"}


async def test_a_handler_with_a_bug_stops_neither_the_worker_nor_other_events(till: Till) -> None:
    poison, good = await paid_event(till, "pack_100"), await paid_event(till, "pack_250")
    # A checkout whose credits cannot be posted: the ledger's own limit refuses it as a bug would.
    till.ask("UPDATE tallybook.checkouts SET credits_micro = 0 WHERE lookup_key = 'pack_100'")

    async with working(till, poll_seconds=0.2):
        await till.deliver(poison)
        await till.deliver(good)
        await eventually(till, 250)

    [[status, error]] = till.ask(
        "SELECT status, last_error FROM tallybook.stripe_events WHERE event_id = %s", poison["id"]
    )
    assert status in {"retry", "received", "processing"}
    assert "amount_out_of_range" in error


async def test_the_first_start_writes_the_account_and_mode_down(bare_till: Till) -> None:
    async with working(bare_till):
        for _ in range(100):
            if bare_till.ask("SELECT 1 FROM tallybook.stripe_account"):
                break
            await asyncio.sleep(0.05)

    [[account, livemode]] = bare_till.ask("SELECT account_id, livemode FROM tallybook.stripe_account")
    assert account.startswith("acct_")
    assert livemode is False

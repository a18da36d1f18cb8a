"""Fixtures of the payment tests: the Stripe sandbox as a real process, and a till before it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from databases import TestDatabase
from sandbox.process import Running, running

from payments.desk import OPERATOR, Till, open_till
from payments.subscriber import START, Subscriber
from tallybook.usecases import catalog


@pytest.fixture
def fresh_sandbox() -> Iterator[Running]:
    """A sandbox of the test's own, empty."""
    with running(options=("--retry-first", "0.05", "--retry-longest", "0.2")) as process:
        yield process


@pytest_asyncio.fixture
async def bare_till(database: TestDatabase, fresh_sandbox: Running) -> AsyncIterator[Till]:
    """A till over an empty sandbox; nothing is pushed."""
    async with open_till(database, fresh_sandbox) as made:
        yield made


@pytest_asyncio.fixture
async def till(database: TestDatabase, stripe_sandbox: Running) -> AsyncIterator[Till]:
    """A till whose catalogue is at Stripe."""
    async with open_till(database, stripe_sandbox) as made:
        await catalog.push(made.ctx, OPERATOR, dry_run=False, progress=lambda _: None)
        yield made


@pytest.fixture
def ada(till: Till) -> Subscriber:
    """The customer, who is to subscribe."""
    return Subscriber(till)


@pytest.fixture
def clocked(till: Till) -> Subscriber:
    """The customer, on a clock of their own."""
    subscriber = Subscriber(till)
    subscriber.live_on_a_test_clock(START)
    return subscriber


@pytest_asyncio.fixture
async def shop(bare_till: Till) -> Till:
    """A till whose catalogue is at a Stripe of its own: nobody else sells there."""
    await catalog.push(bare_till.ctx, OPERATOR, dry_run=False, progress=lambda _: None)
    return bare_till

"""Fixtures of the tests of budgets."""

from __future__ import annotations

import pytest_asyncio
from budgets.treasury import Treasury
from databases import FrozenClock

from tallybook.usecases.context import Context


@pytest_asyncio.fixture
async def treasury(ctx: Context, clock: FrozenClock) -> Treasury:
    """A customer with a hundred credits, and an app that serves them."""
    return await Treasury.opened(ctx, clock)

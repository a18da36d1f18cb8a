"""What tests of the ledger are given beside a database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from databases import FrozenClock, TestDatabase
from ledger.anchored import AnchoredLedger
from ledger.books import Books

from tallybook.usecases.context import Context


@pytest_asyncio.fixture
async def anchored(
    database: TestDatabase, ctx: Context, clock: FrozenClock, tmp_path: Path
) -> AsyncIterator[AnchoredLedger]:
    """Three wallets with a history of three days, anchored each evening: transfers 1 to 3, 4 and 5, 6."""
    async with Books.open(database) as books:
        made = AnchoredLedger(ctx, books, clock, tmp_path / "anchors")
        for _ in range(3):
            await made.open()
        for spends in ((1, 2), (3, 4), (5,)):
            await made.day(spends=spends)
            await made.anchor()
        yield made

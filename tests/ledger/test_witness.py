"""What many concurrent callers of two services are answered makes one order for each wallet, and the clock agrees.

``TALLYBOOK_WITNESS_OPERATIONS`` asks for so many operations.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from databases import TestDatabase
from ledger.books import Books
from ledger.witness import Seen, objections

from tallybook.domain.errors import BillingError
from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.requests import Answer, Posting
from tallybook.domain.money import Credits
from tallybook.postgres.group_commit import GroupCommit
from tallybook.postgres.pool import Database

OPERATIONS = int(os.environ.get("TALLYBOOK_WITNESS_OPERATIONS", "20000"))
CALLERS = 200
WALLETS = 6


@pytest_asyncio.fixture
async def books(database: TestDatabase) -> AsyncIterator[Books]:
    async with Books.open(database) as opened:
        yield opened


class Caller:
    """Spends, and holds that it settles later; writes down what it was answered and when."""

    def __init__(self, number: int, door: GroupCommit, wallets: list[int]) -> None:
        self.number, self.door, self.wallets = number, door, wallets
        self.chance = random.Random(number)  # noqa: S311 - a repeatable choice, no secret
        self.open: list[LedgerId] = []
        self.seen: list[Seen] = []

    def wish(self, key: str) -> Posting:
        what, amount = self.chance.random(), Credits(self.chance.randint(1, 9))
        if self.open and what < 0.4:
            hold = self.open.pop()
            if what < 0.1:
                return recipes.release(hold, app_id=1, key=key)
            return recipes.capture(hold, Credits(self.chance.randint(0, 5)), app_id=1, key=key)
        make = recipes.hold if what < 0.6 else recipes.spend
        return make(self.chance.choice(self.wallets), amount, app_id=1, key=key)

    async def work(self, operations: int) -> None:
        loop = asyncio.get_running_loop()
        for number in range(operations):
            wish = self.wish(f"{self.number}-{number}")
            sent = loop.time()
            answer = await self.door.post(wish)
            if isinstance(answer, BillingError):
                continue
            self.seen.append(Seen(sent, loop.time(), answer))
            if answer.kind == "hold" and answer.hold is not None:
                self.open.append(answer.hold)


async def _granted(books: Books, wallet: int, loop: asyncio.AbstractEventLoop) -> Seen:
    sent = loop.time()
    return Seen(sent, loop.time(), await books.grant(wallet, 1, key="opening"))


@pytest.mark.timeout(0)
async def test_answers_of_concurrent_callers_make_one_order(books: Books, database: TestDatabase) -> None:
    loop = asyncio.get_running_loop()
    wallets = [await books.a_wallet() for _ in range(WALLETS)]
    seen = [await _granted(books, wallet, loop) for wallet in wallets]
    other = await Database.connect(database.service_url)
    doors = [GroupCommit(db, lambda: books.now) for db in (books.db, other)]
    callers = [Caller(number, doors[number % 2], wallets) for number in range(CALLERS)]
    await asyncio.gather(*(caller.work(OPERATIONS // CALLERS) for caller in callers))
    for door in doors:
        await door.close()
    await other.close()

    seen += [s for caller in callers for s in caller.seen]
    assert len(seen) > OPERATIONS // 2
    assert objections(seen) == []
    for wallet in wallets:
        last = max(s.answer.wallet_version for s in seen if s.answer.transfer.wallet_id == wallet)
        assert last == (await books.wallet(wallet)).version


async def test_the_witness_objects_to_answers_that_make_no_order(books: Books) -> None:
    loop = asyncio.get_running_loop()
    wallet = await books.a_wallet()
    granted = await _granted(books, wallet, loop)
    spent = await books.spend(wallet, 1, key="job")

    def against(answer: Answer, *, received: float = granted.received + 2) -> list[str]:
        return [
            text.partition(": ")[2] for text in objections([granted, Seen(granted.sent, received, answer)])
        ]

    assert against(spent) == []
    assert against(replace(spent, available_micro=1)) == ["its balances do not follow from those before"]
    assert against(replace(spent, transfer=LedgerId(wallet, 3))) == ["follows version 1"]
    assert against(spent, received=granted.sent - 1) == [
        "was answered before a request was sent that has a lower version"
    ]

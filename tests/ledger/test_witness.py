"""What many concurrent callers of two services are answered makes one order for each wallet, and the clock agrees.

``TALLYBOOK_WITNESS_OPERATIONS`` asks for so many operations; they are judged round by round, so that memory does not
grow with them. ``pytest -s`` shows how far it is.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from databases import TestDatabase
from ledger.books import Books
from ledger.witness import Looked, Seen, Witness

from tallybook.domain.errors import BillingError
from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.requests import Answer, Posting
from tallybook.domain.money import Credits
from tallybook.postgres.fresh import Fresh
from tallybook.postgres.group_commit import GroupCommit
from tallybook.postgres.pool import Database

OPERATIONS = int(os.environ.get("TALLYBOOK_WITNESS_OPERATIONS", "20000"))
ROUND = 20_000
CALLERS = 200
WALLETS = 6


@pytest_asyncio.fixture
async def books(database: TestDatabase) -> AsyncIterator[Books]:
    async with Books.open(database) as opened:
        yield opened


class Caller:
    """Spends, looks, and holds that it settles later; writes down what it was told and when."""

    def __init__(self, number: int, door: GroupCommit, fresh: Fresh, wallets: list[int]) -> None:
        self.number, self.door, self.fresh, self.wallets = number, door, fresh, wallets
        self.chance = random.Random(number)  # noqa: S311 - a repeatable choice, no secret
        self.open: list[LedgerId] = []
        self.told: list[Seen | Looked] = []
        self.done = 0

    def wish(self, key: str) -> Posting:
        what, amount = self.chance.random(), Credits(self.chance.randint(1, 9))
        if self.open and what < 0.4:
            hold = self.open.pop()
            if what < 0.1:
                return recipes.release(hold, app_id=1, key=key)
            return recipes.capture(hold, Credits(self.chance.randint(0, 5)), app_id=1, key=key)
        make = recipes.hold if what < 0.6 else recipes.spend
        return make(self.chance.choice(self.wallets), amount, app_id=1, key=key)

    async def look(self) -> None:
        loop = asyncio.get_running_loop()
        sent = loop.time()
        found = await self.fresh.wallet.get(self.chance.choice(self.wallets))
        assert found is not None
        self.told.append(Looked(sent, loop.time(), found))

    async def ask(self, wish: Posting) -> None:
        loop = asyncio.get_running_loop()
        sent = loop.time()
        answer = await self.door.post(wish)
        if isinstance(answer, BillingError):
            return
        self.told.append(Seen(sent, loop.time(), answer))
        if answer.kind == "hold" and answer.hold is not None:
            self.open.append(answer.hold)

    async def work(self, operations: int) -> None:
        for _ in range(operations):
            self.done += 1
            if self.chance.random() < 0.1:
                await self.look()
            else:
                await self.ask(self.wish(f"{self.number}-{self.done}"))

    def report(self) -> list[Seen | Looked]:
        """What it was told since it was last asked."""
        told, self.told = self.told, []
        return told


async def _granted(books: Books, wallet: int, credits: int = 1) -> Seen:
    loop = asyncio.get_running_loop()
    sent = loop.time()
    answer = await books.grant(wallet, credits, key="opening")
    return Seen(sent, loop.time(), answer)


@pytest.mark.timeout(0)
async def test_answers_of_concurrent_callers_make_one_order(books: Books, database: TestDatabase) -> None:
    witness, heard, began = Witness(), 0, time.monotonic()
    wallets = [await books.a_wallet() for _ in range(WALLETS)]
    enough = 1 + OPERATIONS // 200_000
    assert witness.objections([await _granted(books, wallet, enough) for wallet in wallets]) == []
    other = await Database.connect(database.service_url)
    doors = [(GroupCommit(db, lambda: books.now), Fresh(db)) for db in (books.db, other)]
    callers = [Caller(number, *doors[number % 2], wallets) for number in range(CALLERS)]

    for first in range(0, OPERATIONS, ROUND):
        each = min(ROUND, OPERATIONS - first) // CALLERS
        await asyncio.gather(*(caller.work(each) for caller in callers))
        told = [one for caller in callers for one in caller.report()]
        assert witness.objections(told) == []
        heard += len(told)
        print(f"{heard} answers make one order, {heard / (time.monotonic() - began):.0f} a second")

    for door, _ in doors:
        await door.close()
    await other.close()
    assert heard > OPERATIONS // 2
    for wallet in wallets:
        assert witness.version(wallet) == (await books.wallet(wallet)).version


async def test_the_witness_objects_to_answers_that_make_no_order(books: Books) -> None:
    wallet = await books.a_wallet()
    granted = await _granted(books, wallet)
    spent = await books.spend(wallet, 1, key="job")

    def against(answer: Answer, *, received: float = granted.received + 2) -> list[str]:
        found = Witness().objections([granted, Seen(granted.sent, received, answer)])
        return [text.partition(": ")[2] for text in found]

    assert against(spent) == []
    assert against(replace(spent, available_micro=1)) == ["its balances do not follow from those before"]
    assert against(replace(spent, transfer=LedgerId(wallet, 3))) == ["follows version 1"]
    assert against(spent, received=granted.sent - 1) == [
        "was answered before a request was sent that comes earlier in the order"
    ]


async def test_the_witness_objects_to_a_look_at_what_is_no_more_or_never_was(books: Books) -> None:
    wallet = await books.a_wallet()
    granted = await _granted(books, wallet)
    before = await books.wallet(wallet)
    spent = Seen(granted.received, granted.received + 1, await books.spend(wallet, 1, key="job"))
    soon, late = granted.received + 0.5, granted.received + 2

    def against(look: Looked) -> list[str]:
        return [text.partition(": ")[2] for text in Witness().objections([spent, look, granted])]

    assert against(Looked(soon, late, before)) == []
    assert against(Looked(soon, late, await books.wallet(wallet))) == []
    assert against(Looked(late, late, before)) == [
        "was answered before a request was sent that comes earlier in the order"
    ]
    assert against(Looked(soon, late, replace(before, available_micro=7))) == ["is not how version 1 left it"]
    later = Witness()
    assert later.objections([granted, spent]) == []
    assert len(later.objections([Looked(soon, late, before)])) == 1

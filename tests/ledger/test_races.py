"""Many callers at once: exactly as much is spent as there is, and a key has one transfer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio
from databases import TestDatabase
from ledger.books import Books

from tallybook.domain.errors import InsufficientCreditsError
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.requests import Answer
from tallybook.domain.money import Credits


@pytest_asyncio.fixture
async def books(database: TestDatabase) -> AsyncIterator[Books]:
    async with Books.open(database) as opened:
        yield opened


async def test_of_two_hundred_parallel_spends_a_hundred_succeed(books: Books) -> None:
    wallet = await books.a_wallet(credits=100)

    answers = await asyncio.gather(
        *(books.spend(wallet, 1, key=f"job-{number}") for number in range(200)),
        return_exceptions=True,
    )

    assert sum(isinstance(answer, Answer) for answer in answers) == 100
    assert sum(isinstance(answer, InsufficientCreditsError) for answer in answers) == 100
    assert (await books.wallet(wallet)).available_micro == 0


async def test_one_key_sent_fifty_times_at_once_is_one_transfer(books: Books) -> None:
    wallet = await books.a_wallet(credits=100)

    answers = await asyncio.gather(*(books.spend(wallet, 1, key="same") for _ in range(50)))

    assert len({(answer.transfer, answer.available_micro) for answer in answers}) == 1
    assert sum(not answer.replayed for answer in answers) == 1
    assert (await books.wallet(wallet)).available_micro == 99_000_000


async def test_a_hold_is_settled_once_by_racing_captures_and_releases(books: Books) -> None:
    wallet = await books.a_wallet(credits=100)
    held = await books.hold(wallet, 10, key="h")
    hold = held.hold
    assert hold is not None

    answers = await asyncio.gather(
        *(books.capture(hold, 10, key=f"c{number}") for number in range(10)),
        *(books.release(hold, key=f"r{number}") for number in range(10)),
        return_exceptions=True,
    )

    assert sum(isinstance(answer, Answer) for answer in answers) == 1


async def test_batches_over_many_wallets_in_any_order_do_not_deadlock(books: Books) -> None:
    wallets = [await books.a_wallet(credits=100) for _ in range(8)]

    def batch(number: int) -> list[int]:
        return wallets[number % 8 :] + wallets[: number % 8]

    results = await asyncio.gather(
        *(
            books.post_all(
                [
                    recipes.spend(wallet, Credits.whole(1), app_id=1, key=f"{number}-{wallet}")
                    for wallet in (batch(number) if number % 2 else reversed(batch(number)))
                ]
            )
            for number in range(40)
        )
    )

    assert all(isinstance(answer, Answer) for answers in results for answer in answers)
    for wallet in wallets:
        assert (await books.wallet(wallet)).available_micro == 60_000_000

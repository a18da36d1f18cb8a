"""Many postings in one call: each by itself, or all or nothing – also when it is tried again, or comes late."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest_asyncio
from databases import TestDatabase
from ledger.books import Books

from tallybook.domain.errors import BatchRefusedError, InsufficientCreditsError
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.requests import Answer, Posting
from tallybook.domain.money import Credits
from tallybook.postgres import ledger

M = 1_000_000


@pytest_asyncio.fixture
async def books(database: TestDatabase) -> AsyncIterator[Books]:
    async with Books.open(database) as opened:
        yield opened


def _spends(wallets: Sequence[int], credits: int, *, keys: str) -> list[Posting]:
    return [
        recipes.spend(wallet, Credits.whole(credits), app_id=1, key=f"{keys}:{place}")
        for place, wallet in enumerate(wallets)
    ]


async def _post_all(books: Books, postings: list[Posting]) -> list[Answer] | BatchRefusedError:
    async with books.db.transaction() as tx:
        return await ledger.post_all(tx, books.now, postings)


async def test_a_batch_that_fits_is_booked_whole_and_its_retry_is_the_same(books: Books) -> None:
    wallets = [await books.a_wallet(credits=10) for _ in range(3)]
    batch = _spends([*wallets, wallets[0]], 4, keys="b")

    first = await _post_all(books, batch)
    again = await _post_all(books, batch)

    assert isinstance(first, list)
    assert isinstance(again, list)
    assert [(a.transfer, a.available_micro) for a in first] == [
        (a.transfer, a.available_micro) for a in again
    ]
    assert all(answer.replayed for answer in again)
    assert [(await books.wallet(wallet)).available_micro // M for wallet in wallets] == [2, 6, 6]


async def test_one_bad_item_refuses_all_of_them_for_ever(books: Books) -> None:
    rich, poor = await books.a_wallet(credits=10), await books.a_wallet(credits=1)
    batch = _spends([rich, poor, rich], 4, keys="b")

    refused = await _post_all(books, batch)

    assert isinstance(refused, BatchRefusedError)
    assert (refused.facts["index"], refused.facts["item_code"]) == (1, "insufficient_credits")
    await books.grant(poor, 100, key="bought since")
    again = await _post_all(books, batch)
    assert isinstance(again, BatchRefusedError)
    assert again.facts == refused.facts
    for posting in batch:
        [alone] = await books.post_all([posting])
        assert isinstance(alone, BatchRefusedError)
    assert (await books.wallet(rich)).available_micro == 10 * M


async def test_a_key_with_other_terms_refuses_the_batch_but_burns_no_key(books: Books) -> None:
    wallet = await books.a_wallet(credits=10)
    await books.spend(wallet, 1, key="b:1")

    refused = await _post_all(books, _spends([wallet, wallet], 4, keys="b"))

    assert isinstance(refused, BatchRefusedError)
    assert refused.facts["item_code"] == "idempotency_key_reused"
    assert (await books.spend(wallet, 4, key="b:0")).available_micro == 5 * M


async def test_in_a_batch_of_single_ones_a_refusal_is_its_own(books: Books) -> None:
    rich, poor = await books.a_wallet(credits=10), await books.a_wallet(credits=1)

    answers = await books.post_all(_spends([rich, poor, rich], 4, keys="b"))

    assert [type(answer) for answer in answers] == [Answer, InsufficientCreditsError, Answer]
    assert (await books.wallet(rich)).available_micro == 2 * M


async def test_ten_thousand_postings_in_one_call_tie(books: Books) -> None:
    wallets = [await books.a_wallet(credits=2_000) for _ in range(10)]

    answers = await _post_all(books, _spends(wallets * 1_000, 1, keys="b"))

    assert isinstance(answers, list)
    assert len(answers) == 10_000
    assert {(await books.wallet(wallet)).available_micro for wallet in wallets} == {1_000 * M}

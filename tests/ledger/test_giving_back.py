"""A give-back returns credits to the lots they came from, as if the work had cost less."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from databases import TestDatabase
from ledger.books import Books

from tallybook.domain.errors import GiveBackExceedsError, TransferNotFoundError
from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.requests import Account, Answer
from tallybook.domain.money import Credits

M = 1_000_000


@pytest_asyncio.fixture
async def books(database: TestDatabase) -> AsyncIterator[Books]:
    async with Books.open(database) as opened:
        yield opened


async def _give_back(
    books: Books, transfer: LedgerId, credits: int | None = None, *, key: str, app_id: int = 1
) -> Answer:
    amount = None if credits is None else Credits.whole(credits)
    return await books.post(recipes.give_back(transfer, amount, app_id=app_id, key=key))


async def _lots(books: Books, wallet: int) -> list[int]:
    rows = await books.rows(
        f"SELECT available_micro FROM tallybook.lots_now WHERE wallet_id = {wallet} ORDER BY version"
    )
    return [row["available_micro"] // M for row in rows]


async def test_what_was_burned_last_returns_first(books: Books) -> None:
    wallet = await books.a_wallet()
    await books.grant(wallet, 10, key="a")
    await books.grant(wallet, 10, key="b")
    spent = await books.spend(wallet, 15, key="s")

    part = await _give_back(books, spent.transfer, 7, key="g1")
    rest = await _give_back(books, spent.transfer, key="g2")

    assert (part.amount_micro, part.available_micro) == (7 * M, 12 * M)
    assert (rest.amount_micro, rest.available_micro) == (8 * M, 20 * M)
    assert await _lots(books, wallet) == [10, 10]


async def test_a_part_that_is_given_back_leaves_the_lots_as_if_less_had_been_spent(books: Books) -> None:
    one, two = await books.a_wallet(), await books.a_wallet()
    for wallet in (one, two):
        await books.grant(wallet, 10, key="a")
        await books.grant(wallet, 10, key="b")

    spent = await books.spend(one, 15, key="s")
    await _give_back(books, spent.transfer, 7, key="g")
    await books.spend(two, 8, key="s")

    assert await _lots(books, one) == await _lots(books, two) == [2, 10]


async def test_more_than_was_taken_is_not_given_back(books: Books) -> None:
    wallet = await books.a_wallet(credits=10)
    spent = await books.spend(wallet, 5, key="s")
    await _give_back(books, spent.transfer, 4, key="g1")

    with pytest.raises(GiveBackExceedsError) as refused:
        await _give_back(books, spent.transfer, 2, key="g2")

    assert refused.value.facts == {"requested_micro": 2 * M, "remaining_micro": M}
    assert (await books.wallet(wallet)).available_micro == 9 * M


async def test_only_what_the_app_itself_took_is_given_back(books: Books) -> None:
    wallet = await books.a_wallet(credits=10)
    spent = await books.spend(wallet, 5, key="s")

    for transfer, app_id in ((spent.transfer, 2), (LedgerId(wallet, 1), 0), (LedgerId(wallet, 99), 1)):
        with pytest.raises(TransferNotFoundError):
            await _give_back(books, transfer, key="g", app_id=app_id)


async def test_a_retry_gives_back_once(books: Books) -> None:
    wallet = await books.a_wallet(credits=10)
    spent = await books.spend(wallet, 5, key="s")

    first = await _give_back(books, spent.transfer, key="g")
    again = await _give_back(books, spent.transfer, key="g")

    assert again.replayed
    assert (again.transfer, again.amount_micro, again.available_micro) == (
        first.transfer, first.amount_micro, first.available_micro,
    )  # fmt: skip


async def test_of_a_lot_that_has_expired_a_new_lot_lives_as_long_as_the_old_one_had_left(
    books: Books,
) -> None:
    wallet = await books.a_wallet()
    expires = books.now + timedelta(days=10)
    await books.post(recipes.adjustment(wallet, Credits.whole(10), app_id=0, key="a", expires_at=expires))
    await books.grant(wallet, 10, key="b")
    books.now += timedelta(days=7)
    spent = await books.spend(wallet, 12, key="s")
    books.now += timedelta(days=30)

    answer = await _give_back(books, spent.transfer, key="g")

    assert (answer.amount_micro, answer.available_micro) == (12 * M, 20 * M)
    [fresh] = await books.rows("SELECT * FROM tallybook.lots_now WHERE source = 'usage_refund'")
    assert fresh["available_micro"] == 10 * M
    assert fresh["expires_at"] == books.now + timedelta(days=3)
    assert await _lots(books, wallet) == [0, 10, 10]


async def test_a_capture_can_be_given_back(books: Books) -> None:
    wallet = await books.a_wallet(credits=10)
    held = await books.hold(wallet, 8, key="h")
    assert held.hold is not None
    captured = await books.capture(held.hold, 6, key="c")

    answer = await _give_back(books, captured.transfer, 6, key="g")

    assert answer.available_micro == 10 * M


async def test_a_give_back_pays_debt_first(books: Books) -> None:
    wallet = await books.a_wallet(credits=10)
    spent = await books.spend(wallet, 8, key="s")
    await books.post(recipes.clawback(wallet, Credits.whole(10), house=Account.REFUNDED, key="refund"))

    answer = await _give_back(books, spent.transfer, key="g")

    assert (answer.repaid_micro, answer.available_micro, answer.debt_micro) == (8 * M, 0, 0)

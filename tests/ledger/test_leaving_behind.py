"""Holds and lots settle themselves: by policy, at their time, before anything is spent, and by the worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from databases import TestDatabase
from ledger.books import Books

from tallybook.domain.errors import CaptureExceedsHoldError, HoldSettledError, InsufficientCreditsError
from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.requests import Answer, HoldPolicy
from tallybook.domain.money import Credits
from tallybook.postgres import ledger

M = 1_000_000


@pytest_asyncio.fixture
async def books(database: TestDatabase) -> AsyncIterator[Books]:
    async with Books.open(database) as opened:
        yield opened


async def _hold(books: Books, wallet: int, credits: int, *, key: str, **terms: Any) -> LedgerId:
    answer = await books.post(recipes.hold(wallet, Credits.whole(credits), app_id=1, key=key, **terms))
    assert answer.hold is not None
    return answer.hold


async def _settle_due(books: Books) -> tuple[int, int]:
    async with books.db.transaction() as tx:
        return await ledger.settle_due(tx, books.now, limit=100)


async def _balances(books: Books, wallet: int) -> tuple[int, int]:
    found = await books.wallet(wallet)
    return found.available_micro // M, found.held_micro // M


@pytest.mark.parametrize(
    ("policy", "captured", "available"),
    [
        (HoldPolicy.RELEASE, 0, 100),
        (HoldPolicy.CAPTURE_ESTIMATE, 12, 88),
        (HoldPolicy.CAPTURE_MAXIMUM, 20, 80),
    ],
)
async def test_a_hold_left_behind_is_settled_by_its_policy(
    books: Books, policy: HoldPolicy, captured: int, available: int
) -> None:
    wallet = await books.a_wallet(credits=100)
    hold = await _hold(
        books, wallet, 20, key="h", lifetime_seconds=60, on_expiry=policy, estimate=Credits.whole(12)
    )
    books.now += timedelta(seconds=59)
    assert await _settle_due(books) == (0, 0)

    books.now += timedelta(seconds=1)

    assert await _settle_due(books) == (1, 1)
    async with books.db.snapshot() as tx:
        found = await ledger.hold(tx, hold)
    assert (found.captured_micro, found.left_behind, found.remaining_micro) == (captured * M, True, 0)
    assert await _balances(books, wallet) == (available, 0)
    assert await _settle_due(books) == (0, 0)


async def test_what_was_captured_before_counts_towards_the_estimate(books: Books) -> None:
    wallet = await books.a_wallet(credits=100)
    hold = await _hold(
        books, wallet, 20, key="h", on_expiry=HoldPolicy.CAPTURE_ESTIMATE, estimate=Credits.whole(12)
    )
    await books.capture(hold, 9, key="c", final=False)
    books.now += timedelta(hours=1)

    await _settle_due(books)

    assert await _balances(books, wallet) == (88, 0)


async def test_a_spend_finds_what_is_due_already_settled(books: Books) -> None:
    wallet = await books.a_wallet(credits=20)
    await _hold(books, wallet, 20, key="h", lifetime_seconds=60)
    with pytest.raises(InsufficientCreditsError):
        await books.spend(wallet, 5, key="early")
    books.now += timedelta(seconds=60)

    answer = await books.spend(wallet, 5, key="late")

    assert answer.available_micro == 15 * M


async def test_a_capture_that_comes_too_late_is_told_what_became_of_the_hold(books: Books) -> None:
    wallet = await books.a_wallet(credits=20)
    hold = await _hold(books, wallet, 20, key="h", lifetime_seconds=60)
    books.now += timedelta(seconds=60)

    with pytest.raises(HoldSettledError) as refused:
        await books.capture(hold, 5, key="c")

    assert refused.value.facts == {"captured_micro": 0, "released_micro": 20 * M}


async def test_a_hold_that_is_extended_lives_on_and_never_shorter(books: Books) -> None:
    wallet = await books.a_wallet(credits=20)
    hold = await _hold(books, wallet, 20, key="h", lifetime_seconds=60)
    books.now += timedelta(seconds=50)
    async with books.db.transaction() as tx:
        await ledger.extend_hold(tx, books.now, hold, lifetime_seconds=60)
        await ledger.extend_hold(tx, books.now, hold, lifetime_seconds=1)
    books.now += timedelta(seconds=59)
    assert await _settle_due(books) == (0, 0)

    books.now += timedelta(seconds=1)

    assert await _settle_due(books) == (1, 1)
    async with books.db.transaction() as tx:
        with pytest.raises(HoldSettledError):
            await ledger.extend_hold(tx, books.now, hold, lifetime_seconds=60)


async def test_a_lot_expires_before_a_spend_could_burn_it(books: Books) -> None:
    wallet = await books.a_wallet()
    soon = books.now + timedelta(days=1)
    await books.post(recipes.adjustment(wallet, Credits.whole(10), app_id=0, key="a", expires_at=soon))
    await books.grant(wallet, 5, key="b")
    await books.spend(wallet, 3, key="s1")
    books.now = soon

    with pytest.raises(InsufficientCreditsError):
        await books.spend(wallet, 6, key="s2")

    kinds = await books.rows("SELECT kind, amount_micro / 1000000 AS credits FROM tallybook.transfers")
    assert {"kind": "expire", "credits": 7} in kinds
    assert await _balances(books, wallet) == (5, 0)


async def test_a_lot_that_was_spent_out_before_it_expired_is_looked_at_once(books: Books) -> None:
    wallet = await books.a_wallet()
    soon = books.now + timedelta(days=1)
    await books.post(recipes.adjustment(wallet, Credits.whole(10), app_id=0, key="a", expires_at=soon))
    await books.spend(wallet, 1, key="s1")
    await books.spend(wallet, 9, key="s2")
    books.now = soon

    assert await _settle_due(books) == (1, 0)
    assert await _settle_due(books) == (0, 0)


async def test_what_a_hold_has_pinned_outlives_its_lot_and_expires_when_it_is_released(books: Books) -> None:
    wallet = await books.a_wallet()
    soon = books.now + timedelta(minutes=5)
    await books.post(recipes.adjustment(wallet, Credits.whole(10), app_id=0, key="a", expires_at=soon))
    hold = await _hold(books, wallet, 8, key="h")
    books.now += timedelta(minutes=6)
    assert await _settle_due(books) == (1, 1)
    assert await _balances(books, wallet) == (0, 8)

    answer = await books.capture(hold, 5, key="c")

    assert (answer.amount_micro, answer.released_micro, answer.available_micro) == (5 * M, 3 * M, 0)


async def test_a_sub_hold_comes_out_of_its_parent_and_its_rest_goes_back(books: Books) -> None:
    wallet = await books.a_wallet(credits=100)
    parent = await _hold(books, wallet, 50, key="h")
    child = await _hold(books, wallet, 30, key="sub", parent=parent)
    assert await _balances(books, wallet) == (50, 50)
    with pytest.raises(CaptureExceedsHoldError):
        await _hold(books, wallet, 21, key="too much", parent=parent)

    await books.capture(child, 10, key="c")

    async with books.db.snapshot() as tx:
        found = await ledger.hold(tx, parent)
    assert (found.remaining_micro, found.delegated_micro) == (40 * M, 10 * M)
    assert await _balances(books, wallet) == (50, 40)
    answer = await books.capture(parent, 40, key="p")
    assert (answer.available_micro, answer.held_micro) == (50 * M, 0)


async def test_a_sub_hold_lives_on_when_its_parent_has_settled(books: Books) -> None:
    wallet = await books.a_wallet(credits=100)
    parent = await _hold(books, wallet, 50, key="h")
    child = await _hold(books, wallet, 30, key="sub", parent=parent)

    await books.release(parent, key="r")
    assert await _balances(books, wallet) == (70, 30)
    await books.capture(child, 10, key="c")

    assert await _balances(books, wallet) == (90, 0)


async def test_racing_sub_holds_never_take_more_than_the_parent_has(books: Books) -> None:
    wallet = await books.a_wallet(credits=100)
    parent = await _hold(books, wallet, 50, key="h")

    answers = await asyncio.gather(
        *(_hold(books, wallet, 10, key=f"sub{n}", parent=parent) for n in range(20)), return_exceptions=True
    )

    assert sum(isinstance(answer, LedgerId) for answer in answers) == 5


async def test_a_capture_beyond_the_hold_takes_the_excess_from_what_is_available_where_allowed(
    books: Books,
) -> None:
    wallet = await books.a_wallet(credits=30)
    hold = await _hold(books, wallet, 20, key="h")

    with pytest.raises(InsufficientCreditsError):
        await books.post(recipes.capture(hold, Credits.whole(31), app_id=1, key="c1", allow_excess=True))
    answer = await books.post(recipes.capture(hold, Credits.whole(25), app_id=1, key="c2", allow_excess=True))

    assert isinstance(answer, Answer)
    assert (answer.amount_micro, answer.available_micro, answer.held_micro) == (25 * M, 5 * M, 0)

"""The posting function: what each request does, what is refused, and that a key has one answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from databases import TestDatabase
from ledger.books import Books

from tallybook.domain.errors import (
    AmountOutOfRangeError,
    BalanceLimitError,
    BillingError,
    CaptureExceedsHoldError,
    HoldNotFoundError,
    HoldSettledError,
    IdempotencyKeyReusedError,
    InsufficientCreditsError,
    WalletNotFoundError,
)
from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.requests import Account, Answer, Note
from tallybook.domain.money import Credits, Money


@pytest_asyncio.fixture
async def books(database: TestDatabase) -> AsyncIterator[Books]:
    async with Books.open(database) as opened:
        yield opened


async def test_a_purchase_makes_a_lot_and_can_be_spent(books: Books) -> None:
    wallet = await books.a_wallet()

    await books.grant(wallet, 1000, key="cs_1")
    answer = await books.spend(wallet, 5, key="job-1")

    assert answer.available_micro == 995_000_000
    assert answer.transfer == LedgerId(wallet, 2)
    [lot] = await books.rows("SELECT * FROM tallybook.lots_now")
    assert (lot["available_micro"], lot["price_minor"], lot["reference"]) == (995_000_000, 1000, "cs_1")


async def test_a_spend_beyond_what_is_available_is_refused_with_the_shortfall(books: Books) -> None:
    wallet = await books.a_wallet(credits=3)

    with pytest.raises(InsufficientCreditsError) as refused:
        await books.spend(wallet, 5, key="job-1")

    assert refused.value.facts["shortfall_micro"] == 2_000_000
    assert (await books.wallet(wallet)).available_micro == 3_000_000


async def test_a_retry_gets_the_first_answer(books: Books) -> None:
    wallet = await books.a_wallet(credits=10)

    first = await books.spend(wallet, 5, key="job-1")
    await books.spend(wallet, 1, key="job-2")
    again = await books.spend(wallet, 5, key="job-1")

    assert again.replayed
    assert not first.replayed
    assert (again.transfer, again.available_micro) == (first.transfer, first.available_micro)
    assert (await books.wallet(wallet)).available_micro == 4_000_000


async def test_a_retry_of_a_refusal_is_refused_also_after_a_purchase(books: Books) -> None:
    wallet = await books.a_wallet(credits=1)
    with pytest.raises(InsufficientCreditsError) as first:
        await books.spend(wallet, 5, key="job-1")
    await books.grant(wallet, 100, key="cs_2")

    with pytest.raises(InsufficientCreditsError) as again:
        await books.spend(wallet, 5, key="job-1")

    assert again.value.facts == first.value.facts
    assert (await books.wallet(wallet)).available_micro == 101_000_000


@pytest.mark.parametrize("changed", ["amount", "description", "kind"])
async def test_a_key_with_other_terms_is_refused(books: Books, changed: str) -> None:
    wallet = await books.a_wallet(credits=10)
    await books.spend(wallet, 5, key="job-1", note=Note(description="first"))

    with pytest.raises(IdempotencyKeyReusedError):
        if changed == "amount":
            await books.spend(wallet, 6, key="job-1", note=Note(description="first"))
        elif changed == "description":
            await books.spend(wallet, 5, key="job-1", note=Note(description="second"))
        else:
            await books.hold(wallet, 5, key="job-1", note=Note(description="first"))

    assert (await books.wallet(wallet)).available_micro == 5_000_000


async def test_keys_of_two_apps_do_not_meet(books: Books) -> None:
    wallet = await books.a_wallet(credits=10)

    await books.spend(wallet, 5, key="same", app_id=1)
    answer = await books.spend(wallet, 5, key="same", app_id=2)

    assert not answer.replayed
    assert answer.available_micro == 0


async def test_a_hold_is_captured_in_parts_and_the_rest_comes_back(books: Books) -> None:
    wallet = await books.a_wallet(credits=100)
    held = await books.hold(wallet, 60, key="h")
    assert held.hold is not None

    part = await books.capture(held.hold, 10, key="c1", final=False)
    last = await books.capture(held.hold, 20, key="c2", final=True)

    assert (part.available_micro, part.held_micro) == (40_000_000, 50_000_000)
    assert (last.available_micro, last.held_micro, last.released_micro) == (70_000_000, 0, 30_000_000)
    with pytest.raises(HoldSettledError):
        await books.release(held.hold, key="r")


async def test_a_capture_beyond_the_hold_is_refused(books: Books) -> None:
    wallet = await books.a_wallet(credits=100)
    held = await books.hold(wallet, 10, key="h")
    assert held.hold is not None

    with pytest.raises(CaptureExceedsHoldError):
        await books.capture(held.hold, 11, key="c")

    assert (await books.wallet(wallet)).held_micro == 10_000_000


async def test_a_hold_of_another_app_is_not_found(books: Books) -> None:
    wallet = await books.a_wallet(credits=100)
    held = await books.hold(wallet, 10, key="h", app_id=1)
    assert held.hold is not None

    with pytest.raises(HoldNotFoundError):
        await books.release(held.hold, key="r", app_id=2)


async def test_a_capture_of_nothing_gives_all_back(books: Books) -> None:
    wallet = await books.a_wallet(credits=100)
    held = await books.hold(wallet, 10, key="h")
    assert held.hold is not None

    answer = await books.capture(held.hold, 0, key="c")

    assert (answer.available_micro, answer.held_micro) == (100_000_000, 0)


async def test_what_was_spent_of_a_refund_becomes_debt_and_is_paid_first(books: Books) -> None:
    wallet = await books.a_wallet(credits=100)
    await books.spend(wallet, 70, key="s")

    clawed = await books.post(
        recipes.clawback(wallet, Credits.whole(100), house=Account.REFUNDED, key="re_1")
    )
    bought = await books.grant(wallet, 100, key="cs_2")

    assert (clawed.available_micro, clawed.debt_micro, clawed.owed_micro) == (0, 70_000_000, 70_000_000)
    assert (bought.available_micro, bought.debt_micro, bought.repaid_micro) == (30_000_000, 0, 70_000_000)


async def test_a_released_hold_pays_debt_first(books: Books) -> None:
    wallet = await books.a_wallet(credits=100)
    held = await books.hold(wallet, 80, key="h")
    assert held.hold is not None
    await books.post(recipes.clawback(wallet, Credits.whole(50), house=Account.DISPUTED, key="dp_1"))

    answer = await books.release(held.hold, key="r")

    assert (answer.available_micro, answer.debt_micro) == (50_000_000, 0)


async def test_lots_burn_by_priority_then_expiry_then_age(books: Books) -> None:
    wallet = await books.a_wallet()
    soon = datetime(2027, 1, 1, tzinfo=UTC)
    for key, expires in (("never", None), ("late", soon + timedelta(days=1)), ("soon", soon)):
        await books.post(recipes.adjustment(wallet, Credits.whole(10), app_id=0, key=key, expires_at=expires))

    await books.spend(wallet, 15, key="s")

    lots = await books.rows("SELECT available_micro FROM tallybook.lots_now ORDER BY version")
    assert [lot["available_micro"] for lot in lots] == [10_000_000, 5_000_000, 0]


async def test_a_release_gives_back_to_the_lots_that_were_pinned(books: Books) -> None:
    wallet = await books.a_wallet()
    await books.grant(wallet, 10, key="a")
    await books.grant(wallet, 10, key="b")
    held = await books.hold(wallet, 15, key="h")
    assert held.hold is not None
    await books.spend(wallet, 5, key="s")

    await books.capture(held.hold, 4, key="c")

    lots = await books.rows("SELECT available_micro, held_micro FROM tallybook.lots_now ORDER BY version")
    assert [tuple(lot.values()) for lot in lots] == [(6_000_000, 0), (5_000_000, 0)]


async def test_a_batch_is_answered_as_if_one_after_another(books: Books) -> None:
    one = await books.a_wallet(credits=10)
    two = await books.a_wallet(credits=10)
    five = Credits.whole(5)

    answers = await books.post_all(
        [
            recipes.spend(two, five, app_id=1, key="a"),
            recipes.spend(one, five, app_id=1, key="a"),
            recipes.spend(one, five, app_id=1, key="b"),
            recipes.spend(one, five, app_id=1, key="c"),
            recipes.spend(one, five, app_id=1, key="a"),
            recipes.spend(one, five, app_id=1, key="c"),
            recipes.spend(999, five, app_id=1, key="a"),
            recipes.spend(one, Credits.whole(1), app_id=1, key="b"),
        ]
    )

    assert [a.code if isinstance(a, BillingError) else a.available_micro for a in answers] == [
        5_000_000,
        5_000_000,
        0,
        "insufficient_credits",
        5_000_000,
        "insufficient_credits",
        "wallet_not_found",
        "idempotency_key_reused",
    ]
    replay = answers[4]
    assert isinstance(replay, Answer)
    assert replay.replayed


async def test_a_wallet_that_nobody_has_is_not_found(books: Books) -> None:
    with pytest.raises(WalletNotFoundError):
        await books.spend(12345, 1, key="k")


@pytest.mark.parametrize("micro", [0, -1, 10**15 + 1])
def test_an_amount_out_of_range_is_refused_before_the_database(micro: int) -> None:
    with pytest.raises(AmountOutOfRangeError):
        recipes.spend(1, Credits(micro), app_id=1, key="k")


async def test_a_wallet_has_an_upper_limit(books: Books) -> None:
    wallet = await books.a_wallet()
    for number in range(9):
        await books.grant(wallet, 1_000_000_000, key=f"g{number}", paid=Money(0, "usd"))

    with pytest.raises(BalanceLimitError):
        await books.grant(wallet, 1, key="over")


async def test_times_of_a_wallet_never_run_backwards(books: Books) -> None:
    wallet = await books.a_wallet(credits=10)
    books.now -= timedelta(hours=1)

    answer = await books.spend(wallet, 1, key="s")

    assert answer.created_at == books.now + timedelta(hours=1)

"""Money that comes back, in the ledger: whose credits go, what becomes debt, how they come again; frozen wallets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import pytest_asyncio
from databases import TestDatabase
from ledger.books import Books

from tallybook.domain.errors import WalletFrozenError
from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.requests import Lot
from tallybook.domain.money import Credits, Money
from tallybook.domain.payments.money_back import Dispute, Refund, Report
from tallybook.domain.payments.payments import Paid, Payment, Source
from tallybook.postgres import ledger, money_back, payments

DAY = timedelta(days=1)
PAID = Money(1000, "usd")


@pytest_asyncio.fixture
async def books(database: TestDatabase) -> AsyncIterator[Books]:
    """An empty ledger."""
    async with Books.open(database) as found:
        yield found


async def buy(
    books: Books, wallet: int, name: str = "pi_1", *lots: int, expires_at: datetime | None = None
) -> None:
    """A payment of ten dollars that brings lots of so many whole credits, by default one of a hundred."""
    brought = []
    for number, credits in enumerate(lots or (100,)):
        key = f"{name} {number}"
        posting = recipes.purchase(wallet, Credits.whole(credits), paid=PAID, reference=name, key=key)
        made = await books.post(replace(posting, lot_expires_at=expires_at))
        brought.append((made.transfer, Credits.whole(credits)))
    async with books.db.transaction() as tx:
        await payments.record(
            tx,
            books.now,
            Paid(
                wallet_id=wallet,
                user_id=None,
                source=Source.CHECKOUT,
                reference=name,
                stripe_customer_id=None,
                stripe_payment_intent_id=name,
                lookup_key=None,
                description="a pack",
                price=PAID,
                lots=tuple(brought),
            ),
        )


async def went_back(books: Books, name: str, refunded: int, dispute: str | None = None) -> Payment:
    """Stripe says that so much was refunded, and what became of a dispute over all of it."""
    refund = Refund(
        id=f"re_{name}",
        amount=Money(refunded, "usd"),
        status="succeeded" if refunded else "failed",
        reason=None,
        failure_reason=None,
        created_at=books.now,
    )
    found = Dispute(
        id=f"du_{name}",
        amount=PAID,
        status=dispute or "won",
        reason="fraudulent",
        withdrawn=True,
        created_at=books.now,
    )
    report = Report(
        payment_intent_id=name, customer_id=None, receipt_url=None, refunds=(refund,), disputes=(found,)
    )
    async with books.db.transaction() as tx:
        await money_back.project(tx, books.now, report)
        payment = await payments.by_payment_intent(tx, name, lock=True)
        assert payment is not None
        return await money_back.apply(tx, books.now, payment, wait=True, freezes=True)


async def balances(books: Books, wallet: int) -> tuple[int, int, int]:
    """Whole credits: available, held, debt."""
    found = await books.wallet(wallet)
    return (
        found.available_micro // 1_000_000,
        found.held_micro // 1_000_000,
        found.debt_micro // 1_000_000,
    )


async def lots(books: Books, wallet: int) -> list[Lot]:
    """The lots that still have credits."""
    async with books.db.snapshot() as tx:
        return await ledger.lots(tx, wallet)


async def left(books: Books, wallet: int) -> dict[str, int]:
    """Whole credits that are left of what each payment brought."""
    found: dict[str, int] = {}
    for lot in await lots(books, wallet):
        found[lot.reference or ""] = found.get(lot.reference or "", 0) + lot.available_micro // 1_000_000
    return found


async def test_all_lots_of_a_payment_go_before_others(books: Books) -> None:
    wallet = await books.a_wallet()
    await buy(books, wallet, "pi_0")
    await buy(books, wallet, "pi_1", 60, 40)
    await books.spend(wallet, 130, key="s")

    await went_back(books, "pi_1", 500)

    assert await left(books, wallet) == {"pi_1": 20}
    assert await balances(books, wallet) == (20, 0, 0)


async def test_credits_that_came_again_go_before_others_when_money_goes_back_once_more(books: Books) -> None:
    wallet = await books.a_wallet()
    await buy(books, wallet, "pi_0")
    await buy(books, wallet)
    await went_back(books, "pi_1", 1000)
    await went_back(books, "pi_1", 0)
    again = await left(books, wallet)

    await went_back(books, "pi_1", 1000)

    assert again == {"pi_0": 100, "pi_1": 100}
    assert await left(books, wallet) == {"pi_0": 100}


async def test_restored_credits_have_the_expiry_and_the_place_of_their_lot(books: Books) -> None:
    wallet = await books.a_wallet()
    await buy(books, wallet, expires_at=books.now + 30 * DAY)
    await went_back(books, "pi_1", 0, "needs_response")
    books.now += 10 * DAY

    await went_back(books, "pi_1", 0, "won")

    [lot] = await lots(books, wallet)
    assert (lot.source, lot.reference, lot.priority) == ("dispute_won", "pi_1", 50)
    assert lot.expires_at == books.now + 20 * DAY


async def test_credits_restored_after_their_lot_was_over_live_as_long_as_it_had_left(books: Books) -> None:
    wallet = await books.a_wallet()
    await buy(books, wallet, expires_at=books.now + 30 * DAY)
    books.now += 10 * DAY
    await went_back(books, "pi_1", 1000)
    books.now += 60 * DAY

    await went_back(books, "pi_1", 0)

    [lot] = await lots(books, wallet)
    assert (lot.source, lot.expires_at) == ("refund_failed", books.now + 20 * DAY)
    assert await balances(books, wallet) == (100, 0, 0)


@pytest.mark.parametrize("expires_first", [True, False])
async def test_what_expired_is_not_owed_whether_the_money_went_back_before_or_after(
    books: Books, *, expires_first: bool
) -> None:
    wallet = await books.a_wallet()
    await buy(books, wallet, expires_at=books.now + DAY)
    await books.spend(wallet, 30, key="s")
    if not expires_first:
        await went_back(books, "pi_1", 1000)
    books.now += 2 * DAY
    async with books.db.transaction() as tx:
        await ledger.settle_due(tx, books.now, limit=10)

    after = await went_back(books, "pi_1", 1000)

    assert await balances(books, wallet) == (0, 0, 30)
    assert after.refunded == Credits.whole(100)


async def test_half_the_money_of_a_lot_that_expired_unused_takes_nothing_from_others(books: Books) -> None:
    wallet = await books.a_wallet()
    await buy(books, wallet, "pi_0")
    await buy(books, wallet, expires_at=books.now + DAY)
    books.now += 2 * DAY

    await books.spend(wallet, 1, key="s")
    await went_back(books, "pi_1", 500)

    assert await balances(books, wallet) == (99, 0, 0)


async def test_what_holds_have_is_taken_when_they_give_it_back(books: Books) -> None:
    wallet = await books.a_wallet()
    await buy(books, wallet)
    held = await books.hold(wallet, 80, key="h")
    assert held.hold is not None

    await went_back(books, "pi_1", 1000)
    meanwhile = await balances(books, wallet)
    await books.capture(held.hold, 30, key="c")

    assert meanwhile == (0, 80, 80)
    assert await balances(books, wallet) == (0, 0, 30)


async def test_a_refund_turned_into_a_dispute_moves_no_credits_of_others(books: Books) -> None:
    wallet = await books.a_wallet()
    await buy(books, wallet, "pi_0")
    await buy(books, wallet)
    await went_back(books, "pi_1", 1000)

    after = await went_back(books, "pi_1", 0, "lost")

    assert (after.refunded, after.disputed) == (Credits(0), Credits.whole(100))
    assert await left(books, wallet) == {"pi_0": 100}


async def test_the_same_report_twice_posts_nothing_more(books: Books) -> None:
    wallet = await books.a_wallet()
    await buy(books, wallet, "pi_1", 33, 33, 34)
    first = await went_back(books, "pi_1", 333)
    version = (await books.wallet(wallet)).version

    second = await went_back(books, "pi_1", 333)

    assert second == first
    assert (await books.wallet(wallet)).version == version


async def test_a_frozen_wallet_neither_spends_nor_holds_but_settles_and_receives(books: Books) -> None:
    wallet = await books.a_wallet(credits=100)
    held = await books.hold(wallet, 10, key="h")
    other = await books.hold(wallet, 10, key="h2")
    assert held.hold is not None
    assert other.hold is not None
    async with books.db.transaction() as tx:
        assert await money_back.freeze(tx, books.now, wallet, cause="admin", frozen=True)
        assert not await money_back.freeze(tx, books.now, wallet, cause="admin", frozen=True)
        assert await money_back.freezes(tx, wallet) == [("admin", books.now)]

    for refused in (books.spend(wallet, 1, key="s"), books.hold(wallet, 1, key="n")):
        with pytest.raises(WalletFrozenError):
            await refused
    with pytest.raises(WalletFrozenError):
        await books.post(recipes.capture(held.hold, Credits.whole(11), app_id=1, key="x", allow_excess=True))
    sub = recipes.hold(wallet, Credits.whole(2), app_id=1, key="sub", parent=held.hold)
    await books.post(sub)
    await books.capture(held.hold, 4, key="c")
    await books.release(other.hold, key="r")
    await books.grant(wallet, 5, key="g")
    in_between = await balances(books, wallet)
    async with books.db.transaction() as tx:
        await money_back.freeze(tx, books.now, wallet, cause="admin", frozen=False)
    with pytest.raises(WalletFrozenError):
        await books.spend(wallet, 1, key="s")
    await books.spend(wallet, 1, key="new work")

    assert in_between == (99, 2, 0)
    assert await balances(books, wallet) == (98, 2, 0)


async def test_a_freeze_ends_with_its_last_cause(books: Books) -> None:
    wallet = await books.a_wallet()
    await buy(books, wallet)
    await buy(books, wallet, "pi_2")
    await went_back(books, "pi_1", 0, "needs_response")
    await went_back(books, "pi_2", 0, "under_review")

    await went_back(books, "pi_1", 0, "lost")
    still = (await books.wallet(wallet)).is_frozen
    await went_back(books, "pi_2", 0, "won")

    assert still
    assert not (await books.wallet(wallet)).is_frozen


async def test_a_payments_number_of_lots_is_what_it_brought(books: Books) -> None:
    wallet = await books.a_wallet()
    await buy(books, wallet, "pi_1", 60, 40)
    await went_back(books, "pi_1", 250)

    async with books.db.snapshot() as tx:
        payment = await payments.by_reference(tx, "pi_1")
        assert payment is not None
        found = await money_back.lots(tx, payment)

    assert [lot.id for lot in found] == [LedgerId(wallet, 1), LedgerId(wallet, 2)]
    assert [lot.taken_micro for lot in found] == [0, 25_000_000]

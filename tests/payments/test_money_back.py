"""The arithmetic of money that comes back: for any payment and any course of refunds and disputes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.lots import HOUSES, NOW, a_lot
from tallybook.domain.ledger.requests import Account
from tallybook.domain.money import Credits, Money
from tallybook.domain.payments.money_back import (
    Dispute,
    PaymentLot,
    Refund,
    Sums,
    Taken,
    due,
    kept,
    lives_until,
    moves,
    previewed,
    went_back,
)

NOTHING = Taken(Credits(0), Credits(0))
CREDITS = st.integers(1, 10**15)
MONEY = st.integers(0, 10**9)


def a_refund(amount: int, status: str = "succeeded", currency: str = "usd") -> Refund:
    return Refund(
        id="re_1",
        amount=Money(amount, currency),
        status=status,
        reason=None,
        failure_reason=None,
        created_at=NOW,
    )


def a_dispute(amount: int, status: str, *, withdrawn: bool = False, currency: str = "usd") -> Dispute:
    return Dispute(
        id="du_1",
        amount=Money(amount, currency),
        status=status,
        reason="fraudulent",
        withdrawn=withdrawn,
        created_at=NOW,
    )


@st.composite
def courses(draw: st.DrawFn) -> tuple[int, list[Sums]]:
    """A price, and what went back of it at some moments, in any order: money may come again."""
    paid = draw(MONEY)
    sums = st.integers(0, paid).flatmap(
        lambda refunded: st.integers(0, paid - refunded).map(lambda disputed: Sums(refunded, disputed))
    )
    return paid, draw(st.lists(sums, max_size=8))


def followed(lots: list[PaymentLot], after: Taken) -> list[PaymentLot]:
    """The lots once what is due was posted."""
    posted = {lot.id: dict(lot.posted) for lot in lots}
    for move in moves(lots, after):
        assert move.micro != 0
        posted[move.lot][move.house] += move.micro
    return [replace(lot, posted=posted[lot.id]) for lot in lots]


LOTS = st.lists(CREDITS, min_size=1, max_size=4).map(
    lambda found: [a_lot(version, micro) for version, micro in enumerate(found, 1)]
)


@given(courses(), LOTS)
def test_the_steps_add_up_to_the_target_and_never_take_more_of_a_lot_than_it_brought(
    course: tuple[int, list[Sums]], lots: list[PaymentLot]
) -> None:
    paid, seen = course
    credits = Credits(sum(lot.credits.micro for lot in lots))

    for sums in seen:
        after = due(credits, credits, paid, sums)
        lots = followed(lots, after)
        for lot in lots:
            assert min(lot.posted.values()) >= 0
            assert sum(lot.posted.values()) <= lot.credits.micro
        of_house = {house: sum(lot.posted[house] for lot in lots) for house in HOUSES}
        assert of_house == {Account.REFUNDED: after.refunded.micro, Account.DISPUTED: after.disputed.micro}


@given(courses(), LOTS)
def test_only_the_last_state_matters_whatever_came_before(
    course: tuple[int, list[Sums]], lots: list[PaymentLot]
) -> None:
    paid, seen = course
    credits = Credits(sum(lot.credits.micro for lot in lots))
    winding = lots

    for sums in seen:
        winding = followed(winding, due(credits, credits, paid, sums))

    last = due(credits, credits, paid, seen[-1]) if seen else NOTHING
    assert [lot.posted for lot in winding] == [lot.posted for lot in followed(lots, last)]
    assert moves(winding, last) == []


@given(CREDITS, MONEY, st.data())
def test_a_target_is_the_part_of_the_credits_rounded_once(micro: int, paid: int, data: st.DataObject) -> None:
    refunded = data.draw(st.integers(0, paid))
    found = due(Credits(micro), Credits(micro), paid, Sums(refunded, 0))

    exact = Fraction(micro * refunded, paid) if paid else Fraction(0)
    assert found.refunded.micro == round(exact)
    assert found.disputed.micro == 0
    if refunded == paid > 0:
        assert found.refunded.micro == micro


@given(CREDITS, MONEY, st.data())
def test_more_money_back_never_takes_fewer_credits_and_all_of_it_takes_all(
    micro: int, paid: int, data: st.DataObject
) -> None:
    refunded = data.draw(st.integers(0, paid))
    disputed = data.draw(st.integers(0, paid - refunded))
    found = due(Credits(micro), Credits(micro), paid, Sums(refunded, disputed))
    whole = due(Credits(micro), Credits(micro), paid, Sums(refunded, paid - refunded))

    assert 0 <= found.disputed.micro <= whole.disputed.micro
    assert whole.refunded.micro + whole.disputed.micro == (micro if paid else 0)


@given(CREDITS, MONEY, st.data())
def test_what_was_returned_later_changes_a_target_only_if_less_is_left(
    micro: int, paid: int, data: st.DataObject
) -> None:
    refunded = data.draw(st.integers(0, paid))
    sums = Sums(refunded, data.draw(st.integers(0, paid - refunded)))
    left = data.draw(st.integers(0, micro))
    whole = due(Credits(micro), Credits(micro), paid, sums)
    found = due(Credits(micro), Credits(left), paid, sums)

    assert found.refunded.micro == min(left, whole.refunded.micro)
    both = whole.refunded.micro + whole.disputed.micro
    assert found.refunded.micro + found.disputed.micro == min(left, both)


@given(courses(), st.lists(st.tuples(CREDITS, CREDITS), min_size=1, max_size=4))
def test_never_more_is_taken_of_a_lot_than_a_change_of_plans_left_of_it(
    course: tuple[int, list[Sums]], sizes: list[tuple[int, int]]
) -> None:
    paid, seen = course
    lots = [a_lot(version, min(size)) for version, size in enumerate(sizes, 1)]
    brought = Credits(sum(max(size) for size in sizes))

    for sums in seen:
        after = due(brought, kept(lots), paid, sums)
        lots = followed(lots, after)
        for lot in lots:
            assert min(lot.posted.values()) >= 0
            assert sum(lot.posted.values()) <= lot.credits.micro


def test_the_newest_lot_goes_first_and_restoring_before_taking() -> None:
    lots = [a_lot(1, 100), a_lot(5, 50)]

    first = moves(lots, Taken(Credits(0), Credits(70)))
    turned = moves(followed(lots, Taken(Credits(0), Credits(70))), Taken(Credits(70), Credits(0)))

    assert [(m.lot.version, m.house, m.micro) for m in first] == [
        (5, Account.DISPUTED, 50),
        (1, Account.DISPUTED, 20),
    ]
    assert [m.micro for m in turned] == [-50, -20, 50, 20]


def test_what_had_expired_is_neither_taken_nor_owed() -> None:
    half_used = a_lot(1, 100, available_micro=0, expired_micro=60)

    half = moves([half_used], Taken(Credits(50), Credits(0)))
    whole = moves([half_used], Taken(Credits(100), Credits(0)))

    assert half == []
    assert [move.micro for move in whole] == [40]


@pytest.mark.parametrize(
    ("refunds", "disputes", "expected"),
    [
        ([("succeeded", 300)], [], (300, 0)),
        ([("pending", 300), ("requires_action", 100)], [], (400, 0)),
        ([("failed", 300), ("canceled", 100)], [], (0, 0)),
        ([("succeeded", 600), ("succeeded", 600)], [], (1000, 0)),
        ([], [("needs_response", 1000, True)], (0, 1000)),
        ([], [("under_review", 400, True)], (0, 400)),
        ([], [("appeal_under_review", 400, True)], (0, 400)),
        ([], [("lost", 1000, True)], (0, 1000)),
        ([], [("won", 1000, False)], (0, 0)),
        ([], [("warning_needs_response", 1000, False), ("warning_closed", 1000, False)], (0, 0)),
        ([], [("won", 400, True), ("warning_under_review", 400, True)], (0, 0)),
        ([], [("prevented", 1000, False)], (0, 0)),
        ([], [("prevented", 1000, True)], (0, 1000)),
        ([("succeeded", 400)], [("needs_response", 1000, True)], (400, 600)),
        ([], [("lost", 700, True), ("needs_response", 700, True)], (0, 1000)),
    ],
)
def test_what_went_back(
    refunds: list[tuple[str, int]], disputes: list[tuple[str, int, bool]], expected: tuple[int, int]
) -> None:
    found = went_back(
        Money(1000, "usd"),
        [a_refund(amount, status) for status, amount in refunds],
        [a_dispute(amount, status, withdrawn=withdrawn) for status, amount, withdrawn in disputes],
    )

    assert (found.refunded_minor, found.disputed_minor) == expected


def test_an_amount_in_another_currency_counts_as_the_whole_payment() -> None:
    found = went_back(Money(1000, "usd"), [], [a_dispute(5, "lost", currency="eur")])

    assert found == Sums(0, 1000)


@pytest.mark.parametrize("currency", ["jpy", "usd", "kwd"])
def test_credits_follow_the_part_of_the_money_in_any_currency(currency: str) -> None:
    paid = Money(1500, currency)

    sums = went_back(paid, [a_refund(500, currency=currency)], [])

    assert due(Credits.whole(900), Credits.whole(900), paid.minor, sums).refunded == Credits.whole(300)


def test_restored_credits_live_as_long_as_their_lot_or_as_it_had_left() -> None:
    day = timedelta(days=1)

    assert lives_until(NOW, None, NOW - day) is None
    assert lives_until(NOW, NOW + day, NOW - day) == NOW + day
    assert lives_until(NOW, NOW - day, NOW - 10 * day) == NOW + 9 * day
    assert lives_until(NOW, NOW - 10 * day, NOW - day) is None


@given(*(st.integers(0, 1000) for _ in range(4)))
def test_a_preview_divides_what_is_taken(taken: int, own: int, held: int, others: int) -> None:
    found = previewed(Money(1, "usd"), taken, own_available=own, own_held=held, wallet_available=own + others)

    assert found.from_payment.micro + found.from_others.micro + found.debt.micro == taken
    assert found.debt.micro == max(0, taken - own - others)
    assert found.from_payment.micro == min(taken, own)

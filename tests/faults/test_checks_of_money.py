"""The intake run's checks can fail: each sees the fault that it is there for, and nothing in sound books."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from faults import money
from faults.money import Order, OurWord, Paid, StripesWord

PACK, PLAN = Order(1, 1000), Order(2, 300)


def stripes_word() -> StripesWord:
    """A pack of which half went back, a pack in dispute, and a month of a plan."""
    paid = [
        Paid(reference="cs_1", order=PACK, paid_minor=100, refunded_minor=50),
        Paid(reference="cs_2", order=PACK, paid_minor=100, disputed_minor=100),
        Paid(reference="in_1", order=PLAN, paid_minor=999),
    ]
    return StripesWord(paid, {"evt_1", "evt_2"})


def our_word() -> OurWord:
    """Books that agree."""
    amounts = {"available_micro": 0, "held_micro": 0, "debt_micro": 0}
    return OurWord(
        payments=[
            {"reference": "cs_1", "wallet_id": 1, "paid_minor": 100, "credits_micro": 1000},
            {"reference": "cs_2", "wallet_id": 1, "paid_minor": 100, "credits_micro": 1000},
            {"reference": "in_1", "wallet_id": 2, "paid_minor": 999, "credits_micro": 300},
        ],
        events=[{"event_id": "evt_1", "status": "done"}, {"event_id": "evt_2", "status": "ignored"}],
        wallets=[
            {"wallet_id": 1, **amounts, "available_micro": 700, "debt_micro": 200},
            {"wallet_id": 2, **amounts, "available_micro": 200, "held_micro": 100},
            {"wallet_id": 3, **amounts},
        ],
    )


def faults(said: StripesWord, ours: OurWord) -> list[str]:
    """What both checks find."""
    return [*money.money_faults(said, ours), *money.inbox_faults(said, ours)]


def test_books_that_agree_with_stripe_have_no_faults() -> None:
    assert faults(stripes_word(), our_word()) == []


@pytest.mark.parametrize(
    ("check", "table", "row", "change"),
    [
        ("I12", "payments", 0, {"reference": "cs_nobodys"}),
        ("I12", "payments", 0, {"credits_micro": 999}),
        ("I12", "payments", 0, {"wallet_id": 2}),
        ("I12", "payments", 2, {"paid_minor": 1}),
        ("I12", "payments", 1, {"reference": "cs_1"}),
        ("I13", "wallets", 0, {"available_micro": 1200}),
        ("I13", "wallets", 0, {"debt_micro": 0}),
        ("I13", "wallets", 2, {"available_micro": 1}),
        ("I14", "events", 0, {"event_id": "evt_3"}),
        ("I14", "events", 0, {"status": "retry"}),
        ("I14", "events", 1, {"status": "dead"}),
    ],
)
def test_a_change_of_one_row_is_seen(check: str, table: str, row: int, change: dict[str, Any]) -> None:
    ours = our_word()
    getattr(ours, table)[row].update(change)

    found = faults(stripes_word(), ours)

    assert any(fault.startswith(check) for fault in found), found


def test_a_second_payment_and_a_lost_one_are_seen() -> None:
    twice, lost = our_word(), our_word()
    twice.payments.append(dict(twice.payments[0]))
    del lost.payments[2]

    assert any(fault.startswith("I12 cs_1") for fault in faults(stripes_word(), twice))
    assert faults(stripes_word(), lost) == ["I12 in_1 is paid and no payment"]


def test_what_was_refunded_whole_before_its_grant_brings_nothing() -> None:
    said, ours = stripes_word(), our_word()
    said.paid[0] = replace(said.paid[0], refunded_minor=100)
    ours.wallets[0]["available_micro"] = 200
    granted = faults(said, ours)
    del ours.payments[0]

    assert (granted, faults(said, ours)) == ([], [])


def test_credits_of_money_that_went_back_twice_are_taken_once() -> None:
    [half, *_] = stripes_word().paid
    third = replace(half, order=Order(1, 100), paid_minor=3, refunded_minor=1)

    assert half.kept_micro == 500
    assert third.kept_micro == 67
    assert replace(third, disputed_minor=3).kept_micro == 0

"""What auto top-up buys at once, and what a failure means: the pure rules, in several currencies."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.domain.errors import AmountOutOfRangeError, InvalidRequestError
from tallybook.domain.money import AMOUNT_MICRO_MAX, Credits, Money
from tallybook.domain.payments.top_ups import (
    DECLINES_MAX,
    FINAL_DECLINES,
    StopReason,
    TopUpRule,
    TopUpTerms,
    Unit,
    after_failure,
    gap,
    next_month,
    purchase,
)
from tallybook.domain.rates import Rate

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PACK = Unit(name="100 Credits", credits=Credits.whole(100), price=Money(1000, "usd"))
RATES = {
    "usd": Rate(credits=Credits.whole(100), price=Money(1000, "usd")),
    "jpy": Rate(credits=Credits.whole(3), price=Money(100, "jpy")),
    "kwd": Rate(credits=Credits.whole(7), price=Money(1000, "kwd")),
}


def of_packs(quantity: int = 1, cap: int = 100_000) -> TopUpTerms:
    """Below 50 credits, packs."""
    return TopUpTerms(
        threshold=Credits.whole(50),
        lookup_key="pack_100",
        quantity=quantity,
        credits=None,
        monthly_cap=Money(cap, "usd"),
        enabled=True,
    )


def of_credits(currency: str, credits: Credits) -> TopUpTerms:
    """Below 50 credits, credits at a rate."""
    return TopUpTerms(
        threshold=Credits.whole(50),
        lookup_key=None,
        quantity=1,
        credits=credits,
        monthly_cap=Money(1, currency),
        enabled=True,
    )


def rule(declines: int) -> TopUpRule:
    """A rule that was declined so often in a row."""
    return TopUpRule(
        wallet_id=1,
        user_id=1,
        terms=of_packs(),
        revision=1,
        declines=declines,
        not_before=NOW,
        stopped=None,
        updated_at=NOW,
    )


def test_debt_is_a_part_of_the_gap() -> None:
    assert gap(of_packs(), available_micro=0, debt_micro=70_000_000) == 120_000_000


@given(
    st.integers(min_value=1, max_value=10**12),
    st.integers(min_value=1, max_value=1000),
    st.integers(min_value=0, max_value=10**8),
)
def test_packs_close_the_gap_or_are_as_many_as_the_cap_allows(missing: int, quantity: int, left: int) -> None:
    bought = purchase(of_packs(quantity), PACK, missing, Money(left, "usd"))

    if bought is None:
        assert left < PACK.price.minor
        return
    assert bought.price.minor == bought.quantity * 1000 <= left
    assert bought.credits == Credits.whole(100 * bought.quantity)
    if bought.credits.micro < missing or bought.quantity < quantity:
        assert bought.quantity == 1000 or (bought.quantity + 1) * 1000 > left


@given(
    st.sampled_from(sorted(RATES)),
    st.integers(min_value=1, max_value=10**10),
    st.integers(min_value=1, max_value=10**10),
    st.integers(min_value=0, max_value=10**8),
)
def test_pitfall_19_credits_at_a_rate_are_those_of_the_money(
    currency: str, wanted: int, missing: int, left: int
) -> None:
    rate = RATES[currency]
    bought = purchase(of_credits(currency, Credits(wanted)), rate, missing, Money(left, currency))

    if bought is None:
        return
    assert 0 < bought.price.minor <= min(left, 99_999_999)
    assert bought.price.currency == currency
    assert currency != "kwd" or bought.price.minor % 10 == 0
    assert bought.credits == rate.credits_for(bought.price)
    least = rate.price_of(Credits(max(wanted, missing)))
    if least.minor <= min(left, 99_999_999):
        assert bought.credits.micro >= max(wanted, missing)


def test_money_is_not_rounded_up_to_more_credits_than_a_wallet_may_be_given() -> None:
    rate = Rate(credits=Credits.whole(7000), price=Money(100, "usd"))
    most = Credits(AMOUNT_MICRO_MAX)

    bought = purchase(of_credits("usd", most), rate, 1, Money(99_999_999, "usd"))

    assert bought is not None
    assert most.micro - 70_000_000 < bought.credits.micro <= most.micro
    assert bought.credits == rate.credits_for(bought.price)


@pytest.mark.parametrize("code", sorted(FINAL_DECLINES))
def test_a_final_code_stops_at_once(code: str) -> None:
    assert after_failure(rule(0), code, NOW).stopped is StopReason.CARD_REFUSED


def test_other_declines_wait_longer_each_time_and_then_stop() -> None:
    setbacks = [after_failure(rule(before), "insufficient_funds", NOW) for before in range(DECLINES_MAX)]

    assert [one.stopped for one in setbacks] == [None, None, StopReason.DECLINED_TOO_OFTEN]
    assert [one.not_before - NOW for one in setbacks[:2]] == [timedelta(hours=1), timedelta(hours=12)]


def test_a_month_ends_with_the_month_of_utc() -> None:
    assert next_month(datetime(2026, 12, 31, 23, 59, tzinfo=UTC)) == datetime(2027, 1, 1, tzinfo=UTC)
    assert next_month(datetime(2026, 2, 1, tzinfo=UTC)) == datetime(2026, 3, 1, tzinfo=UTC)


def test_terms_name_a_pack_or_credits() -> None:
    both = replace(of_packs(), credits=Credits.whole(1))
    neither = replace(of_packs(), lookup_key=None)

    for wrong in (both, neither):
        with pytest.raises(InvalidRequestError):
            wrong.checked()
    with pytest.raises(AmountOutOfRangeError):
        replace(of_packs(), threshold=Credits(0)).checked()

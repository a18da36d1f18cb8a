"""What an invoice does to credits: the pure rule, line by line."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tallybook.domain.errors import PlanChangeUnsupportedError
from tallybook.domain.money import Credits, Money
from tallybook.domain.payments.invoices import (
    InvoiceLine,
    InvoiceReport,
    PlanTerms,
    credits_of_line,
    judge_invoice,
    paid_line,
)
from tallybook.domain.payments.subscriptions import Effect, PlanPrice, effect_of_change

NOW = datetime(2027, 1, 10, tzinfo=UTC)
ENDS = datetime(2027, 2, 1, tzinfo=UTC)
NEXT = datetime(2027, 3, 1, tzinfo=UTC)
SMALL = PlanTerms(
    lookup_key="plan_small", name="Small", credits=Credits.whole(100), price=Money(999, "usd"), expires=False
)
LARGE = PlanTerms(
    lookup_key="plan_large",
    name="Large",
    credits=Credits.whole(2000),
    price=Money(9999, "usd"),
    expires=False,
)
PLANS = {"price_small": SMALL, "price_large": LARGE}


def line(amount: int, price: str = "price_small", **more: Any) -> InvoiceLine:
    """A line for the running month."""
    fields: dict[str, Any] = {
        "id": "il_1",
        "subscription_id": "sub_1",
        "is_proration": False,
        "price_id": price,
        "amount": Money(amount, more.pop("currency", "usd")),
        "discount_minor": 0,
        "quantity": 1,
        "period_start": datetime(2027, 1, 1, tzinfo=UTC),
        "period_end": ENDS,
    } | more
    return InvoiceLine(**fields)


def invoice(*lines: InvoiceLine, **more: Any) -> InvoiceReport:
    """A paid invoice of a renewal."""
    fields: dict[str, Any] = {
        "id": "in_1",
        "number": "A-1",
        "status": "paid",
        "billing_reason": "subscription_cycle",
        "customer_id": "cus_1",
        "subscription_id": "sub_1",
        "currency": "usd",
        "total_minor": 0,
        "amount_due_minor": 0,
        "amount_paid_minor": 0,
        "from_balance_minor": 0,
        "hosted_invoice_url": None,
        "attempt_count": 1,
        "next_payment_attempt": None,
        "payment_intent_id": None,
        "livemode": False,
        "created": NOW,
        "lines": lines,
    } | more
    return InvoiceReport(**fields)


def moved(report: InvoiceReport, plans: dict[str, PlanTerms] = PLANS) -> tuple[str, int]:
    """The outcome, and the micro-credits that come (or, negative, go)."""
    found = judge_invoice(report, plans, NOW)
    return found.outcome, sum(part.credits.micro for part in found.parts) - found.taken_back.micro


@pytest.mark.parametrize(
    ("report", "outcome", "credits"),
    [
        (invoice(line(999)), "granted", 100),
        (invoice(line(3 * 999, quantity=3)), "granted", 300),
        (invoice(line(999, discount_minor=500)), "granted", 100),
        (invoice(line(999), billing_reason="subscription_create"), "granted", 100),
        (invoice(line(0)), "no_credits", 0),
        (invoice(line(999), status="open"), "not_paid", 0),
        (invoice(line(999), status="void"), "not_paid", 0),
        (invoice(line(999), status=None), "not_paid", 0),
        (invoice(line(999), billing_reason="manual"), "other_reason", 0),
        (invoice(line(999), billing_reason="subscription_threshold"), "other_reason", 0),
        (invoice(line(999, subscription_id=None)), "no_credits", 0),
        (invoice(line(999, price="price_foreign")), "no_credits", 0),
        (invoice(line(999, currency="eur")), "mismatch_currency", 0),
        (invoice(line(999, is_proration=True), billing_reason="manual"), "granted", 100),
        (invoice(line(-999, is_proration=True)), "taken_back", -100),
        (invoice(line(-999, is_proration=True), line(9999, "price_large")), "granted", 1900),
        (invoice(line(999, is_proration=True, discount_minor=999)), "no_credits", 0),
    ],
)
def test_pitfall_18_credits_follow_the_lines_of_a_paid_invoice(
    report: InvoiceReport, outcome: str, credits: int
) -> None:
    assert moved(report) == (outcome, credits * 1_000_000)


def test_each_line_is_rounded_once_and_half_goes_to_even() -> None:
    odd = replace(SMALL, credits=Credits(1), price=Money(2, "usd"))

    found = [credits_of_line(line(amount), odd).micro for amount in (1, 3, 5, -1, -3)]

    assert found == [0, 2, 2, 0, -2]


def test_pitfall_19_currencies_without_and_with_three_decimals_are_reckoned_in_their_own_units() -> None:
    """Minor units as they are, never times a hundred."""
    yen = replace(SMALL, price=Money(1500, "jpy"))
    dinar = replace(SMALL, price=Money(3075, "kwd"))

    assert credits_of_line(line(1500, currency="jpy"), yen) == Credits.whole(100)
    assert credits_of_line(line(3075, currency="kwd"), dinar) == Credits.whole(100)
    assert moved(invoice(line(750, currency="jpy")), {"price_small": yen}) == ("granted", 50_000_000)


def test_a_price_of_nothing_brings_nothing() -> None:
    free = replace(SMALL, price=Money(0, "usd"))

    assert moved(invoice(line(0)), {"price_small": free}) == ("no_credits", 0)


def test_what_is_owed_is_taken_off_the_credits_that_expire_first() -> None:
    plans = {key: replace(plan, expires=True) for key, plan in PLANS.items()}
    report = invoice(
        line(-500, is_proration=True),
        line(4999, "price_large", is_proration=True),
        line(9999, "price_large", period_start=ENDS, period_end=NEXT),
    )

    found = judge_invoice(report, plans, NOW)

    assert [part.expires_at for part in found.parts] == [ENDS, NEXT]
    assert found.parts[1].credits == Credits.whole(2000)
    assert found.parts[0].credits.micro == round(4999 * 2_000_000_000 / 9999) - round(500 * 100_000_000 / 999)


def test_credits_of_one_plan_and_expiry_arrive_together() -> None:
    found = judge_invoice(invoice(line(999), line(999, id="il_2")), PLANS, NOW)

    assert [(part.lookup_key, part.credits, part.expires_at) for part in found.parts] == [
        ("plan_small", Credits.whole(200), None)
    ]


def test_a_period_that_is_over_when_it_is_paid_lives_as_long_from_then() -> None:
    plans = {"price_small": replace(SMALL, expires=True)}
    late = ENDS + timedelta(days=3)

    found = judge_invoice(invoice(line(999)), plans, late)

    assert found.parts[0].expires_at == late + timedelta(days=31)


def test_the_newest_period_says_what_is_paid_for() -> None:
    upgrade = line(4500, "price_large", is_proration=True, period_start=NOW)
    report = invoice(line(-450, is_proration=True, period_start=NOW), upgrade)

    assert paid_line(report, PLANS) == upgrade
    assert paid_line(replace(report, status="open"), PLANS) is None


def plan(minor: int, *, interval: str = "month", key: str = "plan_x", quantity: int = 1) -> PlanPrice:
    """A plan at a price."""
    return PlanPrice(lookup_key=key, quantity=quantity, price=Money(minor, "usd"), interval=interval)


@pytest.mark.parametrize(
    ("wanted", "effect"),
    [
        (plan(2000, key="plan_y"), Effect.NOW),
        (plan(500, key="plan_y"), Effect.NEXT_PERIOD),
        (plan(1000, key="plan_y"), Effect.NEXT_PERIOD),
        (plan(1000), Effect.UNDONE),
        (plan(1000, quantity=2), Effect.NOW),
        (plan(9000, key="plan_y", interval="year"), Effect.NOW),
    ],
)
def test_dearer_and_longer_is_now_and_the_rest_waits(wanted: PlanPrice, effect: Effect) -> None:
    assert effect_of_change(plan(1000), wanted, trialing=False) is effect


def test_a_shorter_interval_waits_and_another_currency_is_no_change() -> None:
    assert (
        effect_of_change(plan(1000), plan(5000, key="plan_w", interval="week"), trialing=False)
        is Effect.NEXT_PERIOD
    )
    with pytest.raises(PlanChangeUnsupportedError):
        effect_of_change(plan(1000), replace(plan(2000), price=Money(2000, "eur")), trialing=False)
    assert effect_of_change(plan(1000), plan(2000, key="y"), trialing=True) is Effect.NEXT_PERIOD

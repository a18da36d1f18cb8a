"""Currencies, codes for a discount, tax, and one customer whatever is bought: what checkouts and the form share."""

from __future__ import annotations

import asyncio

import pytest

from payments.cardholder import Cardholder
from payments.desk import OPERATOR, Till
from payments.form_filler import PACK, RATES, hear, open_form, pay, selling, selling_with
from tallybook.domain.errors import (
    AmountOutOfRangeError,
)
from tallybook.usecases import catalog
from tallybook.usecases.cards import forms, portal, saved_methods

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize(
    ("minor", "currency", "micro"),
    [
        (2500, "usd", 250_000_000),
        (333, "usd", 33_300_000),
        (1500, "jpy", 4_500_000),
        (1, "jpy", 3_000),
        (4000, "kwd", 133_333_333),
    ],
)
async def test_pitfall_19_an_amount_at_a_rate_counts_in_its_own_minor_units(
    till: Till, minor: int, currency: str, micro: int
) -> None:
    rated = selling(till, RATES)
    form = await open_form(rated, reference=None, amount_minor=minor, currency=currency)

    pay(till, form)
    await forms.look(till.ctx, till.caller, form.intent.number)

    found = till.stripe_get(f"/v1/payment_intents/{form.intent.stripe_id}")
    assert (found["amount"], found["currency"]) == (minor, currency)
    assert till.ask("SELECT credits_micro, paid_minor, currency FROM tallybook.payments") == [
        (micro, minor, currency)
    ]


async def test_pitfall_19_three_decimals_end_in_zero(till: Till) -> None:
    with pytest.raises(AmountOutOfRangeError):
        await open_form(selling(till, RATES), reference=None, amount_minor=4001, currency="kwd")


@pytest.mark.parametrize(("currency", "minor"), [("jpy", 3000), ("kwd", 6140), ("usd", 2000)])
async def test_pitfall_19_a_product_is_sold_in_several_currencies(
    till: Till, currency: str, minor: int
) -> None:
    shop = selling(till, PACK)
    form = await open_form(shop, quantity=2, currency=currency)
    pay(till, form)
    await forms.look(till.ctx, till.caller, form.intent.number)
    checkout = await shop.open("pack_100", quantity=2, currency=currency)
    till.pay(checkout)
    await till.deliver_all(checkout)

    assert till.ask(
        "SELECT source, paid_minor, currency, credits_micro FROM tallybook.payments ORDER BY 1"
    ) == [
        ("checkout", minor, currency, 200_000_000),
        ("payment_form", minor, currency, 200_000_000),
    ]
    assert till.credits() == 400


async def test_pitfall_09_a_checkout_that_costs_nothing_has_no_payment_intent_and_is_granted(
    till: Till,
) -> None:
    coupon = till.stripe_post("/v1/coupons", percent_off=100, duration="once")
    code = till.stripe_post(
        "/v1/promotion_codes", **{"promotion[type]": "coupon", "promotion[coupon]": coupon["id"]}
    )
    async with selling_with(till, promotion_codes=True) as generous:
        checkout = await generous.open("pack_100")

    paid = till.pay(checkout, promotion_code=code["code"], card="4242424242424242")
    await till.deliver_all(checkout)

    assert paid["session"]["payment_intent"] is None
    assert till.credits() == 100


async def test_codes_are_taken_only_where_they_are_switched_on(till: Till) -> None:
    checkout = await till.open("pack_100")

    session = till.stripe_get(f"/v1/checkout/sessions/{checkout.stripe_session_id}")

    assert not session["allow_promotion_codes"]
    assert session["automatic_tax"]["enabled"] is False


async def test_tax_comes_on_top_and_changes_no_credits(bare_till: Till) -> None:
    till = bare_till
    await catalog.push(till.ctx, OPERATOR, dry_run=False, progress=lambda _: None)
    till.sandbox.control("settings", tax_percent="19")
    async with selling_with(till, automatic_tax=True) as taxing:
        checkout = await taxing.open("pack_100")

    till.pay(checkout)
    await till.deliver_all(checkout)

    assert till.credits() == 100
    assert till.ask("SELECT paid_minor FROM tallybook.payments") == [(1190,)]


async def test_pitfall_11_everything_at_once_makes_one_customer_and_the_card_is_on_it(till: Till) -> None:
    await asyncio.gather(
        open_form(till),
        open_form(till, quantity=2),
        till.open("pack_100"),
        saved_methods.open_setup(till.ctx, till.caller, user_id=None, key="save"),
        portal.open_portal(till.ctx, till.caller, user_id=None, return_url=None),
    )
    method = await Cardholder(till).save("pm_card_visa")

    [[customer]] = till.ask("SELECT stripe_customer_id FROM tallybook.stripe_customers")
    [[deployment]] = till.ask("SELECT deployment_id::text FROM tallybook.stripe_account")
    page = till.stripe_get("/v1/customers", limit=100)["data"]
    assert [one["id"] for one in page if one["metadata"].get("deployment") == deployment] == [customer]
    assert till.stripe_get(f"/v1/payment_methods/{method}")["customer"] == customer


async def test_pitfall_11_a_customer_deleted_at_stripe_is_made_anew(till: Till) -> None:
    await Cardholder(till).save("pm_card_visa")
    [[gone]] = till.ask("SELECT stripe_customer_id FROM tallybook.stripe_customers")
    till.sandbox.http().delete(f"/v1/customers/{gone}")
    await hear(till, gone)
    assert till.ask("SELECT stripe_customer_id FROM tallybook.stripe_customers") == [(None,)]

    form = await open_form(till)
    pay(till, form)
    await hear(till, form.intent.stripe_id)

    assert till.credits() == 100

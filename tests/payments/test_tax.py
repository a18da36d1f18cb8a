"""Tax that Stripe reckons, on top of a price or inside it: written down with what was paid; credits do not know it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from payments.desk import OPERATOR, Till
from payments.form_filler import PACK, open_form, pay, selling, selling_with
from payments.subscriber import START, Subscriber, utc
from tallybook.domain.errors import TaxLocationRequiredError
from tallybook.domain.money import Credits, Money
from tallybook.domain.payments.addresses import Address
from tallybook.domain.payments.payments import Payment, Source
from tallybook.usecases import catalog, doctor, money_back
from tallybook.usecases.cards import forms

pytestmark = pytest.mark.timeout(180)

BERLIN = Address(country="DE", postal_code="10115", city="Berlin")


async def pushed(till: Till) -> None:
    """Carry the till's catalogue to Stripe."""
    await catalog.push(till.ctx, OPERATOR, dry_run=False, progress=lambda _: None)


@pytest_asyncio.fixture
async def taxed(clocked: Subscriber) -> AsyncIterator[Subscriber]:
    """The customer on a clock, where Stripe Tax is on."""
    async with selling_with(clocked.till, automatic_tax=True, promotion_codes=True) as till:
        clocked.till = till
        yield clocked


def paid(till: Till) -> list[tuple[Any, ...]]:
    """Money, tax, currency and whole credits of each payment, oldest first."""
    return till.ask(
        "SELECT paid_minor, tax_minor, currency, credits_micro / 1000000 FROM tallybook.payments ORDER BY payment_id"
    )


@pytest.mark.parametrize(
    ("currency", "country", "behavior", "total", "tax"),
    [
        ("usd", "DE", "exclusive", 2380, 380),
        ("usd", "DE", "inclusive", 2000, 319),
        ("usd", "US", "exclusive", 2000, 0),
        ("jpy", "JP", "exclusive", 3300, 300),
        ("jpy", "JP", "inclusive", 3000, 273),
        # 19 % of 6.140 KWD are 1.1666; the last of three decimals is always zero.
        ("kwd", "DE", "exclusive", 7310, 1170),
        ("kwd", "DE", "inclusive", 6140, 980),
    ],
)
async def test_a_pack_brings_its_credits_whatever_the_tax(
    bare_till: Till, currency: str, country: str, behavior: str, total: int, tax: int
) -> None:
    shop = selling(bare_till, f'tax_behavior = "{behavior}"\n{PACK}')
    await pushed(shop)
    async with selling_with(shop, automatic_tax=True) as taxing:
        checkout = await taxing.open("pack_100", quantity=2, currency=currency)

    bare_till.pay(checkout, card="4242424242424242", country=country)
    await bare_till.deliver_all(checkout)

    assert paid(bare_till) == [(total, tax, currency, 200)]
    assert bare_till.credits() == 200
    [[customer]] = bare_till.ask("SELECT stripe_customer_id FROM tallybook.stripe_customers")
    assert bare_till.stripe_get(f"/v1/customers/{customer}")["address"]["country"] == country


async def test_money_with_tax_in_it_goes_back_by_its_part_of_all_that_was_paid(bare_till: Till) -> None:
    await pushed(bare_till)
    async with selling_with(bare_till, automatic_tax=True) as taxing:
        checkout = await taxing.open("pack_100")
    bare_till.pay(checkout, card="4242424242424242", country="DE")
    await bare_till.deliver_all(checkout)

    await money_back.refund(bare_till.ctx, OPERATOR, 1, amount_minor=595, reason=None, key="half")
    half = bare_till.credits()
    await money_back.refund(bare_till.ctx, OPERATOR, 1, amount_minor=None, reason=None, key="rest")

    assert paid(bare_till) == [(1190, 190, "usd", 100)]
    assert (half, bare_till.credits()) == (50, 0)
    assert bare_till.ask("SELECT refunded_minor FROM tallybook.payments") == [(1190,)]


async def test_a_plan_of_stripes_page_is_taxed_each_period_and_brings_its_credits(taxed: Subscriber) -> None:
    opened = await taxed.open("plan_professional")
    taxed.till.pay(opened.checkout, card="4242424242424242", country="DE")
    await taxed.hear()
    taxed.advance(utc(2027, 2, 2))
    await taxed.hear()

    assert paid(taxed.till) == [(3569, 570, "usd", 500), (3569, 570, "usd", 500)]
    assert taxed.till.ask("SELECT total_minor, tax_minor FROM tallybook.subscription_invoices") == [
        (3569, 570),
        (3569, 570),
    ]
    assert taxed.till.credits() == 1000


async def test_a_plan_of_a_form_is_taxed_where_its_customer_says_to_live(taxed: Subscriber) -> None:
    begun = await taxed.begin("plan_professional", address=BERLIN)

    intent = (begun.client_secret or "").partition("_secret")[0]
    taxed.till.stripe_post(f"/v1/payment_intents/{intent}/confirm", payment_method="pm_card_visa")
    await taxed.hear()

    at_stripe = taxed.till.stripe_get(f"/v1/subscriptions/{begun.subscription.stripe_subscription_id}")
    assert at_stripe["automatic_tax"]["enabled"] is True
    assert paid(taxed.till) == [(3569, 570, "usd", 500)]


async def test_a_plan_of_a_form_asks_for_an_address_where_none_is_known(taxed: Subscriber) -> None:
    with pytest.raises(TaxLocationRequiredError):
        await taxed.begin("plan_professional", key="one")

    begun = await taxed.begin("plan_professional", key="one", address=BERLIN)

    assert begun.client_secret is not None
    invoice = taxed.till.stripe_get(f"/v1/invoices/{begun.subscription.latest_invoice_id}")
    assert invoice["total"] == 3569


async def test_a_discount_and_a_tax_together_change_no_credits(taxed: Subscriber) -> None:
    coupon = taxed.till.stripe_post("/v1/coupons", percent_off=50, duration="once")["id"]
    named = {"promotion[type]": "coupon", "promotion[coupon]": coupon}
    code = taxed.till.stripe_post("/v1/promotion_codes", **named)["code"]
    checkout = await taxed.till.open("pack_100")

    taxed.till.pay(checkout, card="4242424242424242", country="DE", promotion_code=code)
    await taxed.hear()

    assert paid(taxed.till) == [(595, 95, "usd", 100)]


async def test_an_upgrade_charges_tax_on_the_difference_and_brings_what_is_paid_for(
    taxed: Subscriber,
) -> None:
    opened = await taxed.open("plan_starter")
    taxed.till.pay(opened.checkout, card="4242424242424242", country="DE")
    await taxed.hear()
    taxed.advance(START + timedelta(days=15, hours=12))
    await taxed.hear()
    shown = await taxed.preview("plan_business")

    await taxed.change("plan_business", proration_date=shown.proration_date)

    [[granted, total, tax]] = taxed.till.ask(
        "SELECT granted_micro, total_minor, tax_minor FROM tallybook.subscription_invoices"
        " WHERE billing_reason = 'subscription_update'"
    )
    assert total == shown.charged.minor
    # Half of what a month of either plan costs; each line has its own rounding.
    assert abs(total - tax - 4500) <= 1
    assert abs(tax - 855) <= 1
    assert abs(granted - 950_000_000) < 500_000


async def test_nothing_is_taxed_unless_it_is_switched_on(clocked: Subscriber) -> None:
    opened = await clocked.open("plan_starter")
    clocked.till.pay(opened.checkout, card="4242424242424242", country="DE")
    await clocked.hear()

    assert paid(clocked.till) == [(999, 0, "usd", 100)]


async def test_a_payment_intent_knows_neither_tax_nor_codes(bare_till: Till) -> None:
    await pushed(bare_till)
    async with selling_with(bare_till, automatic_tax=True, promotion_codes=True) as taxing:
        form = await open_form(taxing)
    pay(bare_till, form)
    await forms.look(bare_till.ctx, bare_till.caller, form.intent.number)

    assert paid(bare_till) == [(1000, 0, "usd", 100)]


ONE = """
[[packs]]
lookup_key = "pack_one"
name = "One"
description = "One hundred"
credits = 100
amount_minor = 1000
{tax}
"""


async def test_a_push_tells_stripe_how_a_price_is_taxed(bare_till: Till) -> None:
    told, prices = [], []
    for tax in (
        "",
        'tax_behavior = "inclusive"',
        'tax_behavior = "inclusive"\ntax_code = "txcd_10000000"',
        'tax_behavior = "exclusive"',
        "",
    ):
        shop = selling(bare_till, ONE.format(tax=tax))
        [change] = await catalog.push(shop.ctx, OPERATOR, dry_run=False, progress=lambda _: None)
        wanted = {"lookup_keys[]": "pack_one", "expand[]": "data.product"}
        [price] = bare_till.stripe_get("/v1/prices", active="true", **wanted)["data"]
        told.append((change.action, price["tax_behavior"], price["product"]["tax_code"]))
        prices.append(price["id"])

    assert told == [
        ("create", "unspecified", None),
        ("retax", "inclusive", None),
        ("rename", "inclusive", "txcd_10000000"),
        ("reprice", "exclusive", "txcd_10000000"),
        ("unchanged", "exclusive", "txcd_10000000"),
    ]
    # What was not said yet is said of the same price; what was said can only be changed with another one.
    assert prices[0] == prices[1] == prices[2] != prices[3] == prices[4]


async def test_the_doctor_says_when_tax_is_on_and_not_set_up(bare_till: Till) -> None:
    async def codes(till: Till) -> list[str]:
        return [one.code for one in await doctor.examine(till.ctx) if one.code.startswith("tax_")]

    async with selling_with(bare_till, automatic_tax=True) as taxing:
        good = await codes(taxing)
        bare_till.sandbox.control("settings", tax_status="pending")
        bad = await codes(taxing)
    off = await codes(bare_till)

    assert (good, bad, off) == ([], ["tax_not_set_up"], [])


def test_net_and_tax_are_all_that_was_paid_also_from_a_balance() -> None:
    payment = Payment(
        payment_id=1,
        wallet_id=1,
        user_id=1,
        source=Source.INVOICE,
        reference="in_1",
        stripe_customer_id="cus_1",
        stripe_payment_intent_id="pi_1",
        lookup_key="plan_starter",
        description="Starter Plan",
        paid=Money(690, "usd"),
        from_balance_minor=500,
        tax_minor=190,
        credits=Credits.whole(100),
        refunded_minor=0,
        disputed_minor=0,
        refunded=Credits(0),
        disputed=Credits(0),
        steps=0,
        paid_at=START,
        receipt_url=None,
    )

    assert (payment.net_minor, payment.tax_minor, payment.value_minor) == (1000, 190, 1190)

"""Codes for a discount on plans, and what a refund of a discounted payment takes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sandbox.process import KEY

from payments.desk import OPERATOR, Till
from payments.form_filler import selling_with
from payments.promoting import Deaf, code
from payments.subscriber import Subscriber, utc
from tallybook.domain.errors import (
    IdempotencyKeyReusedError,
    PromotionCodeError,
    StripeUnavailableError,
)
from tallybook.domain.payments.subscriptions import SubscriptionStatus
from tallybook.stripe.gateway import PINNED_API_VERSION
from tallybook.stripe.orders import Sales
from tallybook.usecases import money_back

pytestmark = pytest.mark.timeout(180)


@pytest_asyncio.fixture
async def generous(clocked: Subscriber) -> AsyncIterator[Subscriber]:
    """The customer on a clock, where codes are taken."""
    async with selling_with(clocked.till, promotion_codes=True) as till:
        clocked.till = till
        yield clocked


async def pay_form(subscriber: Subscriber, secret: str | None) -> None:
    """Pay the first invoice as the form does, and hear of it."""
    assert secret is not None
    intent = secret.partition("_secret")[0]
    subscriber.till.stripe_post(f"/v1/payment_intents/{intent}/confirm", payment_method="pm_card_visa")
    await subscriber.hear()


def payments(till: Till) -> list[tuple[Any, ...]]:
    """What was paid for how many whole credits, oldest first."""
    return till.ask("SELECT paid_minor, credits_micro / 1000000 FROM tallybook.payments ORDER BY payment_id")


async def test_a_code_makes_a_plan_cheaper_and_its_credits_stay_those_of_the_plan(
    generous: Subscriber,
) -> None:
    text = code(generous.till)

    begun = await generous.begin("plan_professional", promotion_code=f" {text.lower()} ")
    await pay_form(generous, begun.client_secret)
    generous.advance(utc(2027, 2, 2))
    await generous.hear()

    assert payments(generous.till) == [(2249, 500), (2249, 500)]
    assert generous.till.credits() == 1000


async def test_pitfall_09_a_code_for_all_of_it_grants_the_period_without_a_payment_intent(
    generous: Subscriber,
) -> None:
    text = code(generous.till, percent=100, duration="once")

    begun = await generous.begin("plan_starter", promotion_code=text)

    assert (begun.client_secret, str(begun.subscription.status)) == (None, "active")
    # Granted at once: nothing is to be paid, and no webhook is waited for.
    assert generous.till.credits() == 100
    assert generous.till.ask("SELECT paid_minor, stripe_payment_intent_id FROM tallybook.payments") == [
        (0, None)
    ]
    await generous.hear()
    assert (generous.till.credits(), generous.till.grants()) == (100, 1)


@pytest.mark.parametrize("percent", [100, 30])
async def test_a_code_typed_on_stripes_page_for_a_plan_changes_no_credits(
    generous: Subscriber, percent: int
) -> None:
    text = code(generous.till, percent=percent, duration="once")
    opened = await generous.open("plan_professional")

    paid = generous.till.pay(opened.checkout, promotion_code=text, card="4242424242424242")
    await generous.hear()

    assert paid["session"]["amount_total"] == 2999 - round(2999 * percent / 100)
    assert generous.till.credits() == 500
    assert (await generous.subscription()).status is SubscriptionStatus.ACTIVE


async def test_a_refund_of_a_discounted_plan_takes_back_by_what_was_paid(generous: Subscriber) -> None:
    begun = await generous.begin("plan_professional", promotion_code=code(generous.till, percent=50))
    await pay_form(generous, begun.client_secret)
    [[paid, _]] = payments(generous.till)

    await money_back.refund(
        generous.till.ctx, OPERATOR, 1, amount_minor=paid // 2, reason=None, key="half of it"
    )
    half = generous.till.ask("SELECT available_micro FROM tallybook.wallets")
    await money_back.refund(generous.till.ctx, OPERATOR, 1, amount_minor=None, reason=None, key="the rest")

    assert paid == 1499
    taken = round(500_000_000 * (paid // 2) / paid)
    assert half == [(500_000_000 - taken,)]
    assert generous.till.credits() == 0


async def test_a_refund_of_a_discounted_pack_takes_back_by_what_was_paid(till: Till) -> None:
    async with selling_with(till, promotion_codes=True) as generous:
        checkout = await generous.open("pack_100")
    till.pay(checkout, promotion_code=code(till, percent=25), card="4242424242424242")
    await till.deliver_all(checkout)

    await money_back.refund(till.ctx, OPERATOR, 1, amount_minor=300, reason=None, key="a part")

    assert payments(till) == [(750, 100)]
    assert till.credits() == 60


async def refused(subscriber: Subscriber, text: str, **terms: Any) -> str:
    """The reason why a code is refused; nothing is begun then."""
    with pytest.raises(PromotionCodeError) as found:
        await subscriber.begin("plan_starter", promotion_code=text, **terms)
    assert subscriber.till.ask("SELECT count(*) FROM tallybook.subscriptions") == [(0,)]
    return str(found.value.facts["reason"])


async def test_a_code_that_cannot_be_used_is_refused_with_the_reason(generous: Subscriber) -> None:
    till, now = generous.till, generous.till.ctx.clock()
    prices = till.stripe_get("/v1/prices", **{"lookup_keys[]": "plan_business"})["data"]
    over = int(now.timestamp()) - 60
    used = code(till, max_redemptions=1)
    stranger = till.stripe_post("/v1/customers", email="bob@example.com")["id"]
    promotion = till.stripe_get("/v1/promotion_codes", code=used)["data"][0]["id"]
    till.stripe_post(
        "/v1/checkout/sessions",
        mode="subscription",
        success_url="http://localhost/",
        **{
            "line_items[0][price]": prices[0]["id"],
            "line_items[0][quantity]": 1,
            "customer": stranger,
            "discounts[0][promotion_code]": promotion,
        },
    )
    session = till.stripe_get("/v1/checkout/sessions", customer=stranger)["data"][0]["id"]
    till.sandbox.control(f"checkout/sessions/{session}/pay")
    gone = code(till)
    gone_id = till.stripe_get("/v1/promotion_codes", code=gone)["data"][0]["id"]
    till.stripe_post(f"/v1/promotion_codes/{gone_id}", active="false")
    minimum: dict[str, Any] = {
        "restrictions[minimum_amount]": 1000,
        "restrictions[minimum_amount_currency]": "usd",
    }
    only: dict[str, Any] = {"coupon_applies_to[products][]": prices[0]["product"]}
    euros: dict[str, Any] = {"coupon_amount_off": 100, "coupon_currency": "eur"}

    assert await refused(generous, "NEVERMADE") == "unknown"
    assert await refused(generous, code(till, expires_at=over)) == "expired"
    assert await refused(generous, code(till, coupon_redeem_by=over)) == "expired"
    assert await refused(generous, gone) == "expired"
    assert await refused(generous, used) == "used_up"
    assert await refused(generous, code(till, customer=stranger)) == "unknown"
    assert await refused(generous, code(till, **minimum)) == "not_applicable"
    assert await refused(generous, code(till, **only)) == "not_applicable"
    assert await refused(generous, code(till, **euros)) == "not_applicable"


async def test_a_code_for_first_orders_is_refused_by_stripe_and_said_in_our_words(
    generous: Subscriber,
) -> None:
    await generous.subscribe("plan_starter")
    generous.plan("plan_business", plan_family="extra")
    orders: dict[str, Any] = {"restrictions[first_time_transaction]": "true"}
    first = code(generous.till, **orders)

    with pytest.raises(PromotionCodeError) as found:
        await generous.begin("plan_business", promotion_code=first)

    assert found.value.facts["reason"] == "not_applicable"
    assert found.value.facts["stripe_code"] == "promotion_code_invalid"
    begun = await generous.begin("plan_business")
    assert begun.client_secret is not None


async def test_without_the_setting_no_code_is_taken(ada: Subscriber) -> None:
    assert await refused(ada, code(ada.till)) == "switched_off"


async def test_of_several_codes_of_a_name_the_one_that_can_be_used_counts(generous: Subscriber) -> None:
    till = generous.till
    text = code(till, percent=10)
    old = till.stripe_get("/v1/promotion_codes", code=text)["data"][0]["id"]
    till.stripe_post(f"/v1/promotion_codes/{old}", active="false")
    code(till, percent=50, code=text)

    begun = await generous.begin("plan_starter", promotion_code=text)

    invoice = till.stripe_get(f"/v1/invoices/{begun.subscription.latest_invoice_id}")
    assert (invoice["subtotal"], invoice["total"]) == (999, 499)


async def test_a_code_for_once_is_not_used_up_by_its_own_lost_answer(clocked: Subscriber) -> None:
    till = clocked.till
    text = code(till, max_redemptions=1)
    deaf = Deaf(
        KEY,
        api_base=till.sandbox.base_url,
        api_version=PINNED_API_VERSION,
        sales=Sales(promotion_codes=True),
    )
    clocked.till = till.but(stripe=deaf)

    with pytest.raises(StripeUnavailableError):
        await clocked.begin("plan_starter", promotion_code=text, key="once")
    begun = await clocked.begin("plan_starter", promotion_code=text, key="once")
    with pytest.raises(IdempotencyKeyReusedError):
        await clocked.begin("plan_starter", key="once")
    await deaf.close()

    found = till.stripe_get("/v1/subscriptions", customer=clocked.customer_id, status="all")["data"]
    assert [one["id"] for one in found] == [begun.subscription.stripe_subscription_id]
    assert till.stripe_get("/v1/promotion_codes", code=text)["data"][0]["times_redeemed"] == 1

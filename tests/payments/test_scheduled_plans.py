"""Another plan from the next period on, by a schedule of Stripe's: seen coming, taken back, and carried out once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sandbox.process import KEY

from payments.form_filler import selling_with
from payments.subscriber import FAILS_LATER, START, Subscriber, utc
from tallybook.api.v1.subscription_shapes import facts
from tallybook.domain.errors import (
    IdempotencyKeyReusedError,
    StripeRefusedError,
    SubscriptionPaymentError,
    SubscriptionStateError,
)
from tallybook.domain.payments.subscriptions import Effect, SubscriptionReport
from tallybook.stripe.gateway import PINNED_API_VERSION, StripeGateway
from tallybook.usecases.subscriptions import changing, viewing

pytestmark = pytest.mark.timeout(240)

YEARLY = """
[[plans]]
lookup_key = "plan_yearly"
name = "Yearly Plan"
description = "6,000 credits a year"
credits = 6000
amount_minor = 29990
interval = "year"
"""


async def shown(ada: Subscriber) -> tuple[Any, ...]:
    """What the customer sees: the plan of the next period, which waits, from when, and which was paid."""
    seen = facts(await ada.subscription())
    return seen["plan"], seen["pending_plan"], seen["pending_from"], seen["paid_plan"]


async def test_from_a_year_to_a_month_with_the_next_period(clocked: Subscriber) -> None:
    await clocked.sell(YEARLY)
    found = await clocked.subscribe("plan_yearly")
    clocked.advance(START + timedelta(days=40))
    await clocked.hear()
    preview = await clocked.preview("plan_professional")

    await clocked.change("plan_professional")
    await clocked.hear()
    waiting, before = await shown(clocked), clocked.till.credits()
    card = clocked.till.stripe_get(f"/v1/subscriptions/{found.stripe_subscription_id}")[
        "default_payment_method"
    ]
    clocked.till.stripe_post(
        f"/v1/customers/{clocked.customer_id}", **{"invoice_settings[default_payment_method]": ""}
    )
    clocked.advance(utc(2028, 1, 2))
    await clocked.hear()
    after = await shown(clocked)
    clocked.advance(utc(2028, 2, 2))
    await clocked.hear()

    assert (preview.effect, preview.charged.minor, preview.next_period.minor) == (
        Effect.NEXT_PERIOD,
        0,
        2999,
    )
    assert waiting == ("plan_professional", "plan_professional", utc(2028, 1, 1), "plan_yearly")
    assert before == 6000
    assert after == ("plan_professional", None, None, "plan_professional")
    assert clocked.till.credits() == 6000 + 500 + 500
    assert [row[0] for row in clocked.invoices()] == ["subscription_create", *["subscription_cycle"] * 2]
    # The card that the subscription was begun with pays, though it is nobody's default.
    assert card is not None
    # The schedule is gone with its last phase, and what was ended so can be changed again.
    assert (await clocked.subscription()).stripe_schedule_id is None


async def test_what_waits_is_taken_back_by_the_plan_that_runs(clocked: Subscriber) -> None:
    await clocked.sell(YEARLY)
    await clocked.subscribe("plan_yearly")
    await clocked.change("plan_professional")
    preview = await clocked.preview("plan_yearly")

    back = await clocked.change("plan_yearly")
    clocked.advance(utc(2028, 1, 2))
    await clocked.hear()

    assert (preview.effect, preview.charged.minor) == (Effect.UNDONE, 0)
    assert (back.subscription.pending_lookup_key, back.subscription.stripe_schedule_id) == (None, None)
    assert await shown(clocked) == ("plan_yearly", None, None, "plan_yearly")
    assert clocked.till.credits() == 12000


async def test_a_dearer_plan_may_wait_and_nothing_is_paid_or_had_before(clocked: Subscriber) -> None:
    found = await clocked.subscribe("plan_starter")

    await clocked.change("plan_business", at_period_end=True)
    await clocked.hear()
    waiting = await shown(clocked)
    now = await viewing.summary(clocked.till.ctx, clocked.till.caller, clocked.till.user_id)
    # At Stripe the subscription is for the plan that was paid: nobody is credited for what they have not bought.
    item = clocked.till.stripe_get(f"/v1/subscriptions/{found.stripe_subscription_id}")["items"]["data"][0]
    clocked.advance(utc(2027, 2, 2))
    await clocked.hear()

    assert waiting[:2] == ("plan_business", "plan_business")
    assert (item["price"]["id"], item["id"]) == (found.stripe_price_id, found.stripe_item_id)
    assert now.credits is not None
    assert now.credits.micro == 2_000_000_000
    assert clocked.invoices() == [
        ("subscription_create", "paid", "granted", 100),
        ("subscription_cycle", "paid", "granted", 2000),
    ]


async def test_the_newest_wish_for_the_next_period_counts(clocked: Subscriber) -> None:
    await clocked.sell(YEARLY)
    await clocked.subscribe("plan_professional")

    await clocked.change("plan_starter")
    await clocked.change("plan_yearly", at_period_end=True)
    to_a_year = await shown(clocked)
    await clocked.change("plan_business", at_period_end=True)
    await clocked.change("plan_starter")
    clocked.advance(utc(2027, 2, 2))
    await clocked.hear()

    assert to_a_year[:2] == ("plan_yearly", "plan_yearly")
    assert await shown(clocked) == ("plan_starter", None, None, "plan_starter")
    assert clocked.till.credits() == 500 + 100


async def test_an_upgrade_now_takes_the_place_of_what_waits(clocked: Subscriber) -> None:
    await clocked.sell(YEARLY)
    await clocked.subscribe("plan_starter")
    await clocked.change("plan_business", at_period_end=True)
    clocked.advance(START + timedelta(days=15, hours=12))
    await clocked.hear()
    preview = await clocked.preview("plan_business")

    await clocked.change("plan_business", proration_date=preview.proration_date)

    assert (preview.effect, preview.charged.minor) == (Effect.NOW, 4500)
    found = await clocked.subscription()
    assert (found.lookup_key, found.pending_lookup_key, found.stripe_schedule_id) == (
        "plan_business",
        None,
        None,
    )
    assert clocked.invoices()[-1][:3] == ("subscription_update", "paid", "granted")


async def test_a_declined_upgrade_leaves_what_waits(clocked: Subscriber) -> None:
    found = await clocked.subscribe("plan_starter")
    await clocked.change("plan_professional", at_period_end=True)
    clocked.pay_with(found, FAILS_LATER)

    with pytest.raises(SubscriptionPaymentError):
        await clocked.change("plan_business")
    await clocked.hear()

    assert (await shown(clocked))[:2] == ("plan_professional", "plan_professional")
    clocked.pay_with(found, "pm_card_visa")
    # What waits at Stripe names the card of then; asked for once more, it names the new one.
    await clocked.change("plan_professional", at_period_end=True)
    clocked.advance(utc(2027, 2, 2))
    await clocked.hear()
    assert clocked.till.credits() == 100 + 500


async def test_who_leaves_gets_no_other_plan_and_who_is_leaving_asks_for_none(clocked: Subscriber) -> None:
    await clocked.subscribe("plan_starter")
    await clocked.change("plan_business", at_period_end=True)
    reference = await clocked.reference()

    left = await changing.cancel(clocked.till.ctx, clocked.till.caller, reference, at_once=False, key=None)
    with pytest.raises(SubscriptionStateError):
        await clocked.change("plan_business", at_period_end=True)
    clocked.advance(utc(2027, 2, 2))
    await clocked.hear()

    assert (left.subscription.cancel_at_period_end, left.subscription.pending_lookup_key) == (True, None)
    assert str((await clocked.subscription()).status) == "canceled"
    assert clocked.till.credits() == 100


async def test_who_ends_at_once_is_not_billed_by_the_schedule(clocked: Subscriber) -> None:
    await clocked.subscribe("plan_starter")
    await clocked.change("plan_business", at_period_end=True)

    await changing.cancel(
        clocked.till.ctx, clocked.till.caller, await clocked.reference(), at_once=True, key=None
    )
    clocked.advance(utc(2027, 3, 2))
    await clocked.hear()

    assert str((await clocked.subscription()).status) == "canceled"
    assert [row[0] for row in clocked.invoices()] == ["subscription_create"]


async def test_a_discount_and_the_tax_stay_with_the_plan_that_comes(clocked: Subscriber) -> None:
    async with selling_with(clocked.till, automatic_tax=True, promotion_codes=True) as till:
        clocked.till = till
        await clocked.sell(YEARLY)
        coupon = till.stripe_post("/v1/coupons", percent_off=50, duration="forever")["id"]
        named = {"promotion[type]": "coupon", "promotion[coupon]": coupon}
        code = till.stripe_post("/v1/promotion_codes", **named)["code"]
        opened = await clocked.open("plan_yearly")
        clocked.till.pay(opened.checkout, promotion_code=code, card="4242424242424242", country="DE")
        await clocked.hear()

        await clocked.change("plan_professional")
        clocked.advance(utc(2028, 1, 2))
        await clocked.hear()

        [[paid, tax]] = clocked.till.ask(
            "SELECT paid_minor, tax_minor FROM tallybook.payments ORDER BY payment_id DESC LIMIT 1"
        )
    # Half of 29.99 is 14.99, and 19 % of it 2.85.
    assert (paid, tax) == (1784, 285)
    assert clocked.till.credits() == 6000 + 500


async def test_a_trial_needs_no_schedule_for_another_plan(clocked: Subscriber) -> None:
    await clocked.sell(YEARLY)
    clocked.plan("plan_yearly", trial_days=10)
    await clocked.subscribe("plan_yearly")

    await clocked.change("plan_professional")
    clocked.advance(START + timedelta(days=12))
    await clocked.hear()

    assert (await clocked.subscription()).stripe_schedule_id is None
    assert clocked.till.credits() == 500


class Lossy(StripeGateway):
    """Loses the answer to what comes after a schedule was begun, once."""

    lost = False

    async def subscription(self, subscription_id: str) -> SubscriptionReport | None:
        """Ask; the first answer after a schedule was made is lost."""
        report = await super().subscription(subscription_id)
        if not self.lost and report is not None and report.next_price_id is not None:
            self.lost = True
            message = "lost"
            raise StripeRefusedError(message)
        return report


async def test_a_wish_whose_answer_was_lost_is_repeated_under_its_key(clocked: Subscriber) -> None:
    await clocked.subscribe("plan_starter")
    lossy = Lossy(KEY, api_base=clocked.till.sandbox.base_url, api_version=PINNED_API_VERSION)
    clocked.till = clocked.till.but(stripe=lossy)

    with pytest.raises(StripeRefusedError):
        await clocked.change("plan_business", at_period_end=True, key="later")
    again = await clocked.change("plan_business", at_period_end=True, key="later")
    with pytest.raises(IdempotencyKeyReusedError):
        await clocked.change("plan_business", key="later")
    await lossy.close()

    assert again.subscription.pending_lookup_key == "plan_business"
    made = clocked.till.stripe_get("/v1/subscription_schedules", customer=clocked.customer_id)["data"]
    assert [one["status"] for one in made] == ["active"]
    assert len(made[0]["phases"]) == 2


async def test_a_schedule_of_the_dashboards_is_seen_and_let_go(clocked: Subscriber) -> None:
    found = await clocked.subscribe("plan_starter")
    price = clocked.till.stripe_get("/v1/prices", **{"lookup_keys[]": "plan_business"})["data"][0]["id"]
    made = clocked.till.stripe_post(
        "/v1/subscription_schedules", from_subscription=found.stripe_subscription_id
    )
    running = made["phases"][0]
    clocked.till.stripe_post(
        f"/v1/subscription_schedules/{made['id']}",
        **{
            "phases[0][items][0][price]": found.stripe_price_id,
            "phases[0][start_date]": running["start_date"],
            "phases[0][end_date]": running["end_date"],
            "phases[1][items][0][price]": price,
            "phases[1][duration][interval]": "month",
        },
    )
    await clocked.hear()

    seen = await shown(clocked)
    await clocked.change("plan_starter")

    assert seen[:2] == ("plan_business", "plan_business")
    assert (await shown(clocked))[:2] == ("plan_starter", None)
    assert clocked.till.stripe_get(f"/v1/subscription_schedules/{made['id']}")["status"] == "released"

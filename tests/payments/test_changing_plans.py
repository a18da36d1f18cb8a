"""Another plan: what it costs and brings now, and that no way to and fro makes credits."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sandbox.process import KEY

from payments.subscriber import FAILS_LATER, START, Subscriber, utc
from tallybook.domain.errors import (
    BillingError,
    InvalidRequestError,
    PermissionDeniedError,
    PlanChangeUnsupportedError,
    StripeUnavailableError,
    SubscriptionPaymentError,
)
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.payments.subscriptions import Effect
from tallybook.stripe.billing import ItemChange
from tallybook.stripe.gateway import PINNED_API_VERSION, StripeGateway
from tallybook.usecases.subscriptions import changing, plans

pytestmark = pytest.mark.timeout(240)


async def test_an_upgrade_is_charged_now_and_brings_what_is_paid_for(clocked: Subscriber) -> None:
    await clocked.subscribe("plan_starter")
    clocked.advance(START + timedelta(days=15, hours=12))
    await clocked.hear()
    shown = await clocked.preview("plan_business")

    changed = await clocked.change("plan_business", proration_date=shown.proration_date)
    before_events = clocked.till.credits()
    await clocked.hear()

    assert shown.effect is Effect.NOW
    # Half of the month is left: half of the difference in money, and half of each plan's credits.
    assert shown.charged.minor == 5000 - 500
    assert (changed.subscription.lookup_key, changed.subscription.pending_lookup_key) == (
        "plan_business",
        None,
    )
    [[granted]] = clocked.till.ask(
        "SELECT granted_micro FROM tallybook.subscription_invoices WHERE billing_reason = 'subscription_update'"
    )
    assert granted == shown.credits.micro
    assert abs(granted - 950_000_000) < 500_000
    assert before_events == clocked.till.credits() == 100 + granted // 1_000_000
    clocked.advance(utc(2027, 2, 2))
    await clocked.hear()
    assert clocked.till.credits() == (100_000_000 + granted) // 1_000_000 + 2000


async def test_pitfall_18_going_down_and_up_again_makes_neither_credits_nor_charges(
    clocked: Subscriber,
) -> None:
    """A change of plan must not pass for a renewal."""
    await clocked.subscribe("plan_business")
    clocked.advance(START + timedelta(days=10))
    await clocked.hear()

    for _ in range(3):
        down = await clocked.change("plan_starter")
        shown = await clocked.preview("plan_business")
        up = await clocked.change("plan_business")
    await clocked.hear()

    assert (shown.effect, shown.charged.minor, shown.credits.micro) == (Effect.UNDONE, 0, 0)
    assert (down.subscription.pending_lookup_key, up.subscription.pending_lookup_key) == (
        "plan_starter",
        None,
    )
    assert clocked.till.credits() == 2000
    assert len(clocked.invoices()) == 1


async def test_a_downgrade_begins_with_the_next_period(clocked: Subscriber) -> None:
    await clocked.subscribe("plan_business")
    clocked.advance(START + timedelta(days=10))
    await clocked.hear()

    changed = await clocked.change("plan_starter")
    clocked.advance(utc(2027, 2, 2))
    await clocked.hear()

    assert changed.subscription.paid_lookup_key == "plan_business"
    assert clocked.till.credits() == 2000 + 100
    after = await clocked.subscription()
    assert (after.lookup_key, after.paid_lookup_key, after.pending_lookup_key) == (
        "plan_starter",
        "plan_starter",
        None,
    )


async def test_an_upgrade_from_a_downgrade_that_waits_counts_from_what_was_paid(clocked: Subscriber) -> None:
    await clocked.subscribe("plan_professional")
    clocked.advance(START + timedelta(days=15, hours=12))
    await clocked.hear()
    await clocked.change("plan_starter")
    shown = await clocked.preview("plan_business")

    await clocked.change("plan_business", proration_date=shown.proration_date)

    [[granted, paid]] = clocked.till.ask(
        "SELECT granted_micro, amount_paid_minor FROM tallybook.subscription_invoices"
        " WHERE billing_reason = 'subscription_update'"
    )
    assert (paid, granted) == (shown.charged.minor, shown.credits.micro)
    assert paid == 5000 - 1500
    assert abs(granted - 750_000_000) < 500_000


async def test_an_upgrade_is_reckoned_from_now_and_not_from_a_time_of_the_customers_choice(
    clocked: Subscriber,
) -> None:
    """A second before the period ends the dearer plan would cost nothing, and count as paid for."""
    found = await clocked.subscribe("plan_starter")
    clocked.advance(START + timedelta(days=1))
    await clocked.hear()
    assert found.current_period_end is not None

    for chosen in (
        found.current_period_end - timedelta(seconds=1),
        clocked.till.ctx.clock() - timedelta(hours=2),
    ):
        with pytest.raises(InvalidRequestError):
            await clocked.change("plan_business", proration_date=chosen)

    assert (await clocked.subscription()).lookup_key == "plan_starter"


async def test_only_the_holder_of_the_card_has_it_charged_for_another_plan(clocked: Subscriber) -> None:
    await clocked.subscribe("plan_starter")
    reference = await clocked.reference()
    till = clocked.till
    may_buy = frozenset({Permission.PURCHASE_CREDITS})
    key = Caller(app_id=1, by_key=True, permissions=may_buy)
    in_app = Caller(app_id=1, user_id=till.caller.user_id, permissions=may_buy)

    for caller in (key, in_app):
        with pytest.raises(PermissionDeniedError):
            await plans.change(
                till.ctx,
                caller,
                reference,
                plan="plan_business",
                quantity=None,
                proration_date=None,
                key=None,
            )
        with pytest.raises(PermissionDeniedError):
            await changing.resume(till.ctx, caller, reference, key=None)

    assert (await clocked.subscription()).lookup_key == "plan_starter"


async def test_pitfall_18_a_proration_from_the_dashboard_takes_credits_back_with_the_money(
    clocked: Subscriber,
) -> None:
    """Money that is credited to the customer's balance takes its credits along, spent or not."""
    found = await clocked.subscribe("plan_business")
    price = clocked.till.stripe_get("/v1/prices", **{"lookup_keys[]": "plan_starter"})["data"][0]["id"]
    clocked.advance(START + timedelta(days=15, hours=12))
    form = {
        "items[0][id]": found.stripe_item_id,
        "items[0][price]": price,
        "proration_behavior": "always_invoice",
    }
    clocked.till.stripe_post(f"/v1/subscriptions/{found.stripe_subscription_id}", **form)

    await clocked.hear()
    once = clocked.till.credits()
    await clocked.hear(clocked.events(again=True))

    [[taken]] = clocked.till.ask(
        "SELECT taken_back_micro FROM tallybook.subscription_invoices WHERE billing_reason = 'subscription_update'"
    )
    assert abs(taken - 950_000_000) < 500_000
    assert once == clocked.till.credits() == (2_000_000_000 - taken) // 1_000_000
    assert clocked.till.ask("SELECT returned_micro FROM tallybook.payment_lots") == [(taken,)]
    # What the customer's balance pays next month brings credits as ever.
    clocked.advance(utc(2027, 2, 2))
    await clocked.hear()
    assert clocked.invoices()[-1] == ("subscription_cycle", "paid", "granted", 100)


async def test_pitfall_18_switching_to_and_fro_at_the_dashboard_makes_no_credits_under_a_coupon(
    clocked: Subscriber,
) -> None:
    """A proration counts after discounts, else each way up would bring more than the way down takes."""
    coupon = clocked.till.stripe_post("/v1/coupons", percent_off=50, duration="forever")["id"]
    found = await clocked.subscribe("plan_starter")
    clocked.till.stripe_post(
        f"/v1/subscriptions/{found.stripe_subscription_id}", **{"discounts[0][coupon]": coupon}
    )
    clocked.advance(utc(2027, 2, 1) + timedelta(hours=6))
    await clocked.hear()
    prices = [
        clocked.till.stripe_get("/v1/prices", **{"lookup_keys[]": key})["data"][0]["id"]
        for key in ("plan_business", "plan_starter")
    ]
    before = clocked.till.ask("SELECT available_micro FROM tallybook.wallets")[0][0]

    for price in prices * 3:
        form = {"items[0][id]": found.stripe_item_id, "items[0][price]": price}
        clocked.till.stripe_post(
            f"/v1/subscriptions/{found.stripe_subscription_id}", proration_behavior="always_invoice", **form
        )
        await clocked.hear()

    after = clocked.till.ask("SELECT available_micro FROM tallybook.wallets")[0][0]
    assert before == 200_000_000
    assert after <= before + 6


async def test_a_declined_upgrade_changes_nothing_and_can_be_asked_again(clocked: Subscriber) -> None:
    found = await clocked.subscribe("plan_starter")
    clocked.pay_with(found, FAILS_LATER)

    with pytest.raises(SubscriptionPaymentError):
        await clocked.change("plan_business", key="up")
    await clocked.hear()
    after_decline = await clocked.subscription()
    clocked.pay_with(found, "pm_card_visa")
    changed = await clocked.change("plan_business", key="up")
    again = await clocked.change("plan_business", key="up")

    assert (str(after_decline.status), after_decline.lookup_key) == ("active", "plan_starter")
    assert (changed.replayed, again.replayed) == (False, True)
    assert again.subscription.lookup_key == "plan_business"
    with pytest.raises(BillingError) as reused:
        await clocked.change("plan_professional", key="up")
    assert reused.value.code == "idempotency_key_reused"


async def test_a_plan_of_another_family_or_a_shorter_interval_is_no_change(clocked: Subscriber) -> None:
    await clocked.subscribe("plan_starter")
    clocked.plan("plan_business", plan_family="extra")

    with pytest.raises(PlanChangeUnsupportedError):
        await clocked.change("plan_business")


async def test_a_declined_upgrade_leaves_the_smaller_plan_that_waits(clocked: Subscriber) -> None:
    found = await clocked.subscribe("plan_professional")
    await clocked.change("plan_starter")
    clocked.pay_with(found, FAILS_LATER)

    with pytest.raises(SubscriptionPaymentError):
        await clocked.change("plan_business")
    await clocked.hear()

    left = await clocked.subscription()
    assert (left.pending_lookup_key, left.paid_lookup_key) == ("plan_starter", "plan_professional")
    assert clocked.till.credits() == 500


class ForgetfulGateway(StripeGateway):
    """Carries a change out at Stripe and loses the answer, once."""

    lost = False

    async def change_item(self, change: ItemChange, *, idempotency_key: str) -> None:
        """Carry it out; the first answer is lost."""
        await super().change_item(change, idempotency_key=idempotency_key)
        if not self.lost:
            self.lost = True
            raise StripeUnavailableError


async def test_an_upgrade_whose_answer_was_lost_is_charged_once(clocked: Subscriber) -> None:
    await clocked.subscribe("plan_starter")
    forgetful = ForgetfulGateway(KEY, api_base=clocked.till.sandbox.base_url, api_version=PINNED_API_VERSION)
    clocked.till = clocked.till.but(stripe=forgetful)

    with pytest.raises(StripeUnavailableError):
        await clocked.change("plan_business", key="up")
    await clocked.hear()
    changed = await clocked.change("plan_business", key="up")
    await forgetful.close()

    assert (changed.replayed, changed.subscription.lookup_key) == (False, "plan_business")
    assert [row[0] for row in clocked.invoices()] == ["subscription_create", "subscription_update"]
    assert clocked.till.grants() == 2

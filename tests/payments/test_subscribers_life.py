"""Months and years of a subscriber on a test clock: renewals, pauses, declines, trials, and two whole years."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from payments.subscriber import FAILS_LATER, START, Subscriber, utc
from tallybook.domain.errors import SubscriptionStateError
from tallybook.domain.money import Credits
from tallybook.domain.payments.subscriptions import SubscriptionStatus
from tallybook.usecases.subscriptions import changing

pytestmark = pytest.mark.timeout(240)


async def test_credits_stay_from_period_to_period(clocked: Subscriber) -> None:
    await clocked.subscribe("plan_starter")

    clocked.advance(utc(2027, 3, 5))
    await clocked.hear()

    assert clocked.till.credits() == 300
    assert [row[0] for row in clocked.invoices()] == ["subscription_create", *["subscription_cycle"] * 2]


async def test_credits_that_expire_with_their_period_are_reset(clocked: Subscriber) -> None:
    clocked.plan("plan_starter", credits_expire=True)
    await clocked.subscribe("plan_starter")
    [[first_ends]] = clocked.till.ask("SELECT expires_at FROM tallybook.lots")

    clocked.advance(utc(2027, 2, 2))
    await clocked.hear()

    assert first_ends.date() == utc(2027, 2, 1).date()
    # The next posting settles what is due: the first lot is gone, the second stays.
    assert clocked.till.credits() == 100
    kinds = clocked.till.ask("SELECT kind, amount_micro / 1000000 FROM tallybook.transfers ORDER BY version")
    assert kinds == [("grant", 100), ("expire", 100), ("grant", 100)]


async def test_pitfall_09_a_coupon_of_the_whole_price_still_brings_a_periods_credits(
    clocked: Subscriber,
) -> None:
    """Nothing is due, so no payment intent; a discount is the merchant's gift."""
    coupon = clocked.till.stripe_post("/v1/coupons", percent_off=100, duration="forever")["id"]
    found = await clocked.subscribe("plan_starter")
    clocked.till.stripe_post(
        f"/v1/subscriptions/{found.stripe_subscription_id}", **{"discounts[0][coupon]": coupon}
    )

    clocked.advance(utc(2027, 3, 2))
    await clocked.hear()

    assert clocked.till.credits() == 300
    payments = clocked.till.ask("SELECT paid_minor, stripe_payment_intent_id FROM tallybook.payments")
    assert sorted((paid, intent is None) for paid, intent in payments) == [(0, True), (0, True), (999, False)]


async def test_while_past_due_nothing_new_comes_packs_stay_and_recovery_grants_once(
    clocked: Subscriber,
) -> None:
    found = await clocked.subscribe("plan_starter")
    pack = await clocked.till.open("pack_100")
    clocked.till.pay(pack)
    await clocked.hear()
    clocked.pay_with(found, FAILS_LATER)

    clocked.advance(utc(2027, 2, 2))
    await clocked.hear()
    due = await clocked.subscription()
    while_due = clocked.till.credits()
    with pytest.raises(SubscriptionStateError):
        await clocked.change("plan_business")
    clocked.pay_with(found, "pm_card_visa")
    clocked.till.stripe_post(f"/v1/invoices/{due.latest_invoice_id}/pay")
    await clocked.hear()
    await clocked.hear(clocked.events(again=True))

    assert due.status is SubscriptionStatus.PAST_DUE
    assert while_due == 200
    assert (await clocked.subscription()).status is SubscriptionStatus.ACTIVE
    assert clocked.till.credits() == 300


async def test_after_the_last_decline_the_subscription_ends_and_what_was_bought_stays(
    clocked: Subscriber,
) -> None:
    found = await clocked.subscribe("plan_starter")
    clocked.pay_with(found, FAILS_LATER)

    clocked.advance(utc(2027, 3, 15))
    await clocked.hear()

    assert (await clocked.subscription()).status is SubscriptionStatus.CANCELED
    assert clocked.till.credits() == 100
    assert {row[2] for row in clocked.invoices()} == {"granted", "not_paid"}


async def test_canceled_with_the_period_and_reactivated_in_time(clocked: Subscriber) -> None:
    await clocked.subscribe("plan_starter")
    one = await clocked.reference()
    ctx, caller = clocked.till.ctx, clocked.till.caller

    leaving = await changing.cancel(ctx, caller, one, at_once=False, key=None)
    staying = await changing.reactivate(ctx, caller, one, key=None)
    with pytest.raises(SubscriptionStateError):
        await changing.reactivate(ctx, caller, one, key=None)
    await changing.cancel(ctx, caller, one, at_once=False, key=None)
    clocked.advance(utc(2027, 2, 2))
    await clocked.hear()

    assert (leaving.subscription.cancel_at_period_end, staying.subscription.cancel_at_period_end) == (
        True,
        False,
    )
    assert (await clocked.subscription()).status is SubscriptionStatus.CANCELED
    assert clocked.till.credits() == 100
    with pytest.raises(SubscriptionStateError):
        await changing.reactivate(ctx, caller, one, key=None)
    await clocked.open("plan_business")


async def test_canceled_at_once_keeps_what_was_paid_for(clocked: Subscriber) -> None:
    await clocked.subscribe("plan_starter")

    gone = await changing.cancel(
        clocked.till.ctx, clocked.till.caller, await clocked.reference(), at_once=True, key="off"
    )
    again = await changing.cancel(
        clocked.till.ctx, clocked.till.caller, await clocked.reference(), at_once=True, key="off"
    )
    await clocked.hear()

    assert (gone.subscription.status, again.replayed) == (SubscriptionStatus.CANCELED, True)
    assert clocked.till.credits() == 100


async def test_while_paused_nothing_is_billed_and_nothing_comes(clocked: Subscriber) -> None:
    await clocked.subscribe("plan_starter")
    one = await clocked.reference()

    paused = await changing.pause(clocked.till.ctx, clocked.till.caller, one, resumes_at=None, key=None)
    clocked.advance(utc(2027, 3, 2))
    await clocked.hear()
    in_pause = clocked.till.credits()
    resumed = await changing.resume(clocked.till.ctx, clocked.till.caller, one, key=None)
    clocked.advance(utc(2027, 4, 2))
    await clocked.hear()

    assert (paused.subscription.collection_paused, resumed.subscription.collection_paused) == (True, False)
    assert in_pause == 100
    assert clocked.till.credits() == 200
    assert {row[1] for row in clocked.invoices()} == {"paid", "void"}


async def test_a_trial_ends_in_the_first_paid_period(clocked: Subscriber) -> None:
    clocked.plan("plan_starter", trial_days=14, trial_credits=Credits.whole(20))

    trying = await clocked.subscribe("plan_starter")
    in_trial = clocked.till.credits()
    clocked.advance(START + timedelta(days=14, hours=3))
    await clocked.hear()

    assert (trying.status, in_trial) == (SubscriptionStatus.TRIALING, 20)
    assert (await clocked.subscription()).status is SubscriptionStatus.ACTIVE
    assert clocked.till.credits() == 120


async def test_two_years_of_a_subscribers_life_leave_books_that_tie(clocked: Subscriber) -> None:
    """``make bench-life`` measures it: it reads what is printed here."""
    began = time.monotonic()
    clocked.plan("plan_starter", trial_days=14, trial_credits=Credits.whole(20))
    found = await clocked.subscribe("plan_starter")
    clocked.advance(utc(2027, 6, 20))
    await clocked.hear()
    await clocked.change("plan_professional")
    clocked.advance(utc(2027, 9, 20))
    await clocked.hear()
    clocked.pay_with(found, FAILS_LATER)
    clocked.advance(utc(2027, 10, 17))
    await clocked.hear()
    due = await clocked.subscription()
    clocked.pay_with(found, "pm_card_visa")
    clocked.till.stripe_post(f"/v1/invoices/{due.latest_invoice_id}/pay")
    await clocked.hear()
    await clocked.change("plan_starter")
    clocked.advance(utc(2028, 12, 20))
    await clocked.hear()
    await changing.cancel(
        clocked.till.ctx, clocked.till.caller, await clocked.reference(), at_once=False, key=None
    )
    clocked.advance(utc(2029, 1, 20))
    await clocked.hear()
    print(f"two years took {time.monotonic() - began:.2f} s")

    ended = await clocked.subscription()
    assert (due.status, ended.status) == (SubscriptionStatus.PAST_DUE, SubscriptionStatus.CANCELED)
    moved = clocked.till.ask(
        "SELECT sum(granted_micro - taken_back_micro), count(*) FROM tallybook.subscription_invoices"
    )
    [[available]] = clocked.till.ask("SELECT available_micro FROM tallybook.wallets")
    assert moved[0][0] == available
    # A trial, 24 paid months of which four at the larger plan (one of them begun in its first week), all still there.
    assert moved[0][1] == 26
    assert {row[2] for row in clocked.invoices()} == {"trial_granted", "granted"}

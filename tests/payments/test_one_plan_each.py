"""One plan of each family: two tabs, a late webhook and a second wish never sell it twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from payments.subscriber import Subscriber
from tallybook.domain.errors import AlreadySubscribedError, BillingError, SubscriptionSupersededError
from tallybook.postgres import subscriptions
from tallybook.usecases import checkouts
from tallybook.usecases.subscriptions import opening

pytestmark = pytest.mark.timeout(180)
PLANS = ("plan_starter", "plan_professional", "plan_business")


async def test_pitfall_14_two_tabs_leave_one_session_that_can_be_paid(ada: Subscriber) -> None:
    """What was open is closed at Stripe before another one is handed out."""
    tabs = await asyncio.gather(*(ada.open(plan) for plan in PLANS), return_exceptions=True)
    handed_out = [one for one in tabs if not isinstance(one, BaseException)]
    refused = [one for one in tabs if isinstance(one, BaseException)]
    sessions = ada.till.stripe_get("/v1/checkout/sessions", customer=ada.customer_id)["data"]

    assert all(isinstance(one, SubscriptionSupersededError) for one in refused), refused
    assert handed_out
    assert [one["status"] for one in sessions].count("open") == 1
    [left] = [one for one in handed_out if _status(ada, one) == "open"]
    ada.till.pay(left.checkout)
    await ada.hear()
    assert (await ada.subscription()).lookup_key == left.checkout.lookup_key
    assert ada.till.grants() == 1


def _status(ada: Subscriber, opened: Any) -> str:
    return str(ada.till.stripe_get(f"/v1/checkout/sessions/{opened.checkout.stripe_session_id}")["status"])


async def test_pitfall_14_who_was_seen_unopened_is_not_given_up_once_a_session_is_open(
    ada: Subscriber,
) -> None:
    """Between the look and the giving up a session may be handed out: it would stay open beside the next one."""
    opened = await ada.open("plan_starter")
    ctx = ada.till.ctx
    async with ctx.db.transaction() as tx:
        attempt = await subscriptions.by_checkout(tx, opened.checkout.checkout_id)
        assert attempt is not None
        await subscriptions.abandon(tx, ctx.clock(), attempt.subscription_id, unopened=True)
        kept = await subscriptions.by_id(tx, attempt.subscription_id)
        await subscriptions.abandon(tx, ctx.clock(), attempt.subscription_id)
        gone = await subscriptions.by_id(tx, attempt.subscription_id)

    assert kept is not None
    assert gone is not None
    assert (str(kept.status), str(gone.status)) == ("open", "abandoned")


async def test_pitfall_14_a_second_tab_takes_the_place_of_the_first(ada: Subscriber) -> None:
    first = await ada.open("plan_starter")
    second = await ada.begin("plan_professional")
    third = await ada.open("plan_business")

    assert _status(ada, first) == "expired"
    invoice = ada.till.stripe_get(f"/v1/invoices/{second.subscription.latest_invoice_id}")
    assert invoice["status"] == "void"
    assert _status(ada, third) == "open"


async def test_nobody_has_two_plans_of_a_family(ada: Subscriber) -> None:
    await ada.subscribe("plan_starter")

    with pytest.raises(AlreadySubscribedError) as by_page:
        await ada.open("plan_business")
    with pytest.raises(AlreadySubscribedError):
        await ada.begin("plan_business")

    assert by_page.value.facts["plan"] == "plan_starter"
    assert ada.till.ask("SELECT count(*) FROM tallybook.checkouts") == [(1,)]


async def test_pitfall_12_a_session_that_was_paid_unseen_is_not_sold_a_second_time(ada: Subscriber) -> None:
    """The webhook is late, and the customer asks again."""
    opened = await ada.open("plan_starter")
    ada.till.pay(opened.checkout)

    with pytest.raises(AlreadySubscribedError):
        await ada.open("plan_business")

    assert ada.till.credits() == 100


async def test_another_family_is_another_place(ada: Subscriber) -> None:
    ada.plan("plan_business", plan_family="extra")

    await ada.subscribe("plan_starter")
    await ada.subscribe("plan_business")

    assert ada.till.credits() == 2100


async def test_an_expired_session_gives_the_place_back(ada: Subscriber) -> None:
    opened = await ada.open("plan_starter")
    ada.till.stripe_post(f"/v1/checkout/sessions/{opened.checkout.stripe_session_id}/expire")

    await ada.hear()

    assert ada.till.ask("SELECT status, holds_family FROM tallybook.subscriptions") == [("abandoned", False)]
    await ada.open("plan_starter")


async def test_opening_under_one_key_twice_is_one_checkout(ada: Subscriber) -> None:
    first = await ada.open(key="once")
    again = await ada.open(key="once")

    assert again.replayed
    assert again.checkout.url == first.checkout.url
    with pytest.raises(BillingError) as refused:
        await ada.open("plan_business", key="once")
    assert refused.value.code == "idempotency_key_reused"


async def test_a_plan_is_not_opened_as_a_pack(ada: Subscriber) -> None:
    terms: dict[str, Any] = {
        "quantity": 1,
        "success_url": "https://a.example",
        "cancel_url": "https://a.example",
    }
    with pytest.raises(BillingError) as refused:
        await checkouts.open_checkout(
            ada.till.ctx,
            ada.till.caller,
            reference="plan_starter",
            user_id=None,
            mode="payment",
            key=None,
            **terms,
        )
    assert refused.value.code == "mode_mismatch"
    with pytest.raises(BillingError) as other:
        await opening.open_checkout(
            ada.till.ctx, ada.till.caller, reference="pack_100", user_id=None, key=None, **terms
        )
    assert other.value.code == "mode_mismatch"


async def test_one_key_sent_ten_times_at_once_begins_one_subscription(ada: Subscriber) -> None:
    # A customer who is known already: else making one would put the ten in a row.
    await ada.till.open("pack_100")

    begun = await asyncio.gather(*(ada.begin("plan_starter", key="once") for _ in range(10)))

    at_stripe = ada.till.stripe_get("/v1/subscriptions", customer=ada.customer_id, status="all")["data"]
    assert len(at_stripe) == 1
    assert {one.subscription.stripe_subscription_id for one in begun} == {at_stripe[0]["id"]}
    assert len({one.client_secret for one in begun}) == 1


async def test_a_declined_first_payment_gives_way_to_another_plan(ada: Subscriber) -> None:
    declined = await ada.open("plan_starter")
    ada.till.pay(declined.checkout, card="4000000000000002")
    await ada.hear()

    await ada.subscribe("plan_business")

    assert _status(ada, declined) == "expired"
    assert ada.till.credits() == 2000
    at_stripe = ada.till.stripe_get("/v1/subscriptions", customer=ada.customer_id)["data"]
    assert [one["status"] for one in at_stripe] == ["active"]


async def test_a_first_payment_that_is_under_way_keeps_its_place(ada: Subscriber) -> None:
    opened = await ada.open("plan_starter")
    ada.till.pay(opened.checkout, method="bank")

    with pytest.raises(AlreadySubscribedError):
        await ada.open("plan_business")
    path = f"checkout/sessions/{opened.checkout.stripe_session_id}/settle"
    ada.till.sandbox.control(path, outcome="succeed")
    await ada.hear()

    assert ada.till.credits() == 100

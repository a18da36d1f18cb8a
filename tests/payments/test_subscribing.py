"""From a paid invoice to credits: once, whatever events come, how often and in which order."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from typing import Any

import pytest
from sandbox.process import KEY

from payments.desk import OPERATOR, add_user
from payments.subscriber import Subscriber
from tallybook.domain.payments.subscriptions import SubscriptionReport, SubscriptionStatus
from tallybook.stripe.gateway import PINNED_API_VERSION, StripeGateway
from tallybook.usecases import catalog
from tallybook.usecases.subscriptions import settling
from tallybook.worker.main import work_off

pytestmark = pytest.mark.timeout(180)


def another(ada: Subscriber, number: int) -> Subscriber:
    """One more customer at the same till."""
    return Subscriber(replace(ada.till, user_id=add_user(ada.till.database, f"ada{number}@example.com")))


async def test_a_paid_first_invoice_brings_the_plans_credits(ada: Subscriber) -> None:
    found = await ada.subscribe("plan_professional")

    assert (str(found.status), found.lookup_key) == ("active", "plan_professional")
    assert (found.paid_lookup_key, found.pending_lookup_key) == ("plan_professional", None)
    assert ada.till.credits() == 500
    assert ada.invoices() == [("subscription_create", "paid", "granted", 500)]
    [[source, paid, intent, description]] = ada.till.ask(
        "SELECT source, paid_minor, stripe_payment_intent_id, description FROM tallybook.payments"
    )
    assert (source, paid, intent[:3]) == ("invoice", 2999, "pi_")
    assert description.startswith("Professional Plan, invoice ")


async def test_the_quantity_multiplies_a_plans_credits(ada: Subscriber) -> None:
    await ada.subscribe("plan_starter", quantity=3)

    assert ada.till.credits() == 300


async def test_pitfall_05_session_and_invoice_of_one_first_payment_grant_once_in_every_order(
    ada: Subscriber,
) -> None:
    """A first payment has two events that could grant; only the invoice does."""
    kinds = ("checkout.session.completed", "invoice.paid", "customer.subscription.updated")
    for number, order in enumerate(itertools.permutations(kinds)):
        one = another(ada, number)
        opened = await one.open()
        one.till.pay(opened.checkout)
        by_kind = {event["type"]: event for event in one.events()}

        for kind in order:
            await one.hear([by_kind[kind]])

        assert one.till.credits() == 100, order
        assert (await one.subscription()).status is SubscriptionStatus.ACTIVE, order
        assert await one.till.status(opened.checkout) == "paid"
    assert ada.till.grants() == 6


async def test_pitfall_02_every_event_of_a_first_payment_at_once_and_again_grants_once(
    ada: Subscriber,
) -> None:
    """Duplicates, and handlers that race each other."""
    opened = await ada.open()
    ada.till.pay(opened.checkout)
    happened = ada.events()

    await asyncio.gather(*(ada.till.deliver(event) for event in happened * 3))
    await asyncio.gather(*(work_off(ada.till.ctx) for _ in range(4)))
    ada.till.ask("UPDATE tallybook.stripe_events SET status = 'received', next_attempt_at = now()")
    await work_off(ada.till.ctx)

    assert (ada.till.credits(), ada.till.grants()) == (100, 1)
    assert ada.outcomes("invoice.paid") == ["already_granted"]


async def test_pitfall_08_subscription_events_alone_never_grant(ada: Subscriber) -> None:
    """A subscription that was begun and never paid is worth nothing, whatever an event's body says."""
    begun = await ada.begin("plan_business")
    [created, *_] = [one for one in ada.events() if one["type"] == "customer.subscription.created"]
    lie = created | {"id": "evt_lie", "type": "customer.subscription.updated"}
    lie["data"] = {"object": created["data"]["object"] | {"status": "active"}}
    paid_lie = created | {"id": "evt_lie_2", "type": "invoice.paid"}
    paid_lie["data"] = {"object": {"id": begun.subscription.latest_invoice_id, "status": "paid"}}

    await ada.hear([created, lie, paid_lie])

    assert (ada.till.credits(), ada.till.grants()) == (0, 0)
    assert (await ada.subscription()).status is SubscriptionStatus.INCOMPLETE
    assert ada.outcomes("invoice.paid") == ["not_paid"]


async def test_a_payment_form_pays_the_first_invoice_by_the_client_secret(ada: Subscriber) -> None:
    begun = await ada.begin("plan_starter", key="once")
    again = await ada.begin("plan_starter", key="once")
    assert begun.client_secret is not None
    intent = begun.client_secret.partition("_secret")[0]
    ada.till.stripe_post(f"/v1/payment_intents/{intent}/confirm", payment_method="pm_card_visa")

    await ada.hear()

    assert again.replayed
    assert again.client_secret == begun.client_secret
    assert (await ada.subscription()).status is SubscriptionStatus.ACTIVE
    assert ada.till.credits() == 100


async def test_a_payment_method_that_is_named_is_kept_and_pays_the_renewals(ada: Subscriber) -> None:
    form = {"type": "card", "card[token]": "tok_visa"}
    method = ada.till.stripe_post("/v1/payment_methods", **form)["id"]

    begun = await ada.begin("plan_starter", payment_method_id=method)

    at_stripe = ada.till.stripe_get(f"/v1/subscriptions/{begun.subscription.stripe_subscription_id}")
    assert at_stripe["default_payment_method"] == method
    assert ada.till.stripe_get(f"/v1/payment_methods/{method}")["customer"] == ada.customer_id
    assert (begun.client_secret is not None, ada.till.credits()) == (True, 0)


async def test_pitfall_04_created_after_updated_leaves_the_subscription_active(ada: Subscriber) -> None:
    """The order of events says nothing; what Stripe has now does."""
    opened = await ada.open()
    ada.till.pay(opened.checkout)
    events = [one for one in ada.events() if one["type"].startswith("customer.subscription")]

    for event in reversed(events):
        await ada.hear([event])

    assert events[0]["type"] == "customer.subscription.created"
    assert (await ada.subscription()).status is SubscriptionStatus.ACTIVE


class BelatedGateway(StripeGateway):
    """Answers with what a subscription was like before, as a slow reader would have it."""

    before: SubscriptionReport

    async def subscription(self, subscription_id: str) -> SubscriptionReport | None:
        """What it was like."""
        del subscription_id
        return self.before


async def test_pitfall_13_a_subscription_that_has_ended_never_lives_again(ada: Subscriber) -> None:
    """Terminal states do not flip back."""
    found = await ada.subscribe()
    assert found.stripe_subscription_id is not None
    belated = BelatedGateway(KEY, api_base=ada.till.sandbox.base_url, api_version=PINNED_API_VERSION)
    then = await StripeGateway.subscription(belated, found.stripe_subscription_id)
    assert then is not None
    belated.before = then
    ada.till.sandbox.http().delete(f"/v1/subscriptions/{found.stripe_subscription_id}")
    await ada.hear()

    await settling.settle_subscription(ada.till.but(stripe=belated).ctx, found.stripe_subscription_id)
    await belated.close()

    assert (await ada.subscription()).status is SubscriptionStatus.CANCELED
    assert not (await ada.subscription()).holds_family


async def test_pitfall_07_a_delayed_first_payment_grants_when_it_arrives_and_not_before(
    ada: Subscriber,
) -> None:
    """A completed session is not a paid one."""
    opened = await ada.open()
    ada.till.pay(opened.checkout, method="bank")
    await ada.hear()
    before = ada.till.credits()

    path = f"checkout/sessions/{opened.checkout.stripe_session_id}/settle"
    ada.till.sandbox.control(path, outcome="succeed")
    await ada.hear()

    assert before == 0
    assert (ada.till.credits(), ada.till.grants()) == (100, 1)


async def test_pitfall_10_a_subscription_that_was_made_at_stripe_is_adopted_by_its_customer(
    ada: Subscriber,
) -> None:
    """Metadata is not there; the customer is one of ours, and the price a plan's."""
    await ada.till.open("pack_100")
    price = ada.till.stripe_get("/v1/prices", **{"lookup_keys[]": "plan_professional"})["data"][0]["id"]
    customer = ada.customer_id
    method = ada.till.stripe_post("/v1/payment_methods/pm_card_visa/attach", customer=customer)["id"]
    form = {"customer": customer, "default_payment_method": method, "items[0][price]": price}
    made = ada.till.stripe_post("/v1/subscriptions", **form)
    assert made["metadata"] == {}

    await ada.hear()

    assert (await ada.subscription()).stripe_subscription_id == made["id"]
    assert ada.till.credits() == 500


async def test_pitfall_10_a_checkouts_subscription_names_its_attempt(ada: Subscriber) -> None:
    """Metadata is not inherited, so the subscription gets its own."""
    found = await ada.subscribe()

    at_stripe = ada.till.stripe_get(f"/v1/subscriptions/{found.stripe_subscription_id}")
    assert at_stripe["metadata"]["subscription_id"] == f"sbs_{found.subscription_id}"
    assert at_stripe["metadata"]["user_id"] == str(ada.till.user_id)


async def test_pitfall_22_invoices_without_a_subscription_and_of_strangers_are_recorded(
    ada: Subscriber,
) -> None:
    """Nothing crashes, nothing is granted."""
    await ada.till.open("pack_100")
    price = ada.till.stripe_get("/v1/prices", **{"lookup_keys[]": "plan_business"})["data"][0]
    ours = ada.customer_id
    method = ada.till.stripe_post("/v1/payment_methods/pm_card_visa/attach", customer=ours)["id"]
    ada.till.stripe_post("/v1/invoiceitems", customer=ours, amount=999, currency="usd")
    form = {"customer": ours, "default_payment_method": method, "pending_invoice_items_behavior": "include"}
    bill = ada.till.stripe_post("/v1/invoices", **form)["id"]
    ada.till.stripe_post(f"/v1/invoices/{bill}/finalize")
    paid = ada.till.stripe_post(f"/v1/invoices/{bill}/pay")
    assert (paid["status"], paid["parent"]) == ("paid", None)
    stranger = ada.till.stripe_post("/v1/customers", email="stranger@example.com")["id"]
    card = ada.till.stripe_post("/v1/payment_methods/pm_card_visa/attach", customer=stranger)["id"]
    form = {"customer": stranger, "default_payment_method": card, "items[0][price]": price["id"]}
    ada.till.stripe_post("/v1/subscriptions", **form)
    page = ada.till.stripe_get("/v1/events", limit=100)["data"]
    about = [one for one in page if one["data"]["object"].get("customer") in (ours, stranger)]

    await ada.hear(about)

    assert sorted(map(str, ada.outcomes("invoice.paid"))) == ["foreign", "no_subscription"]
    assert set(ada.outcomes("customer.subscription.created")) == {"foreign"}
    assert {status for _, status, _ in ada.till.inbox()} <= {"done", "ignored"}
    assert ada.till.grants() == 0


async def test_pitfall_21_an_event_of_an_old_version_needs_nothing_but_its_id(ada: Subscriber) -> None:
    """Bodies are hints, so their shape does not matter."""
    opened = await ada.open()
    ada.till.pay(opened.checkout)
    [paid] = [one for one in ada.events() if one["type"] == "invoice.paid"]
    old = {"id": paid["data"]["object"]["id"], "object": "invoice", "subscription": "sub_none", "paid": False}

    await ada.hear([paid | {"api_version": "2023-10-16", "data": {"object": old}}])

    assert ada.till.credits() == 100


async def test_pitfall_20_a_plan_that_was_repriced_still_brings_its_credits_to_who_has_the_old_price(
    ada: Subscriber,
) -> None:
    """The price was bound when the session was opened."""
    opened = await ada.open("plan_starter")
    starter = ada.till.ctx.catalog.by_lookup_key("plan_starter")
    assert starter is not None
    ada.plan("plan_starter", price=replace(starter.price, minor=1999))
    await catalog.push(ada.till.ctx, OPERATOR, dry_run=False, progress=lambda _: None)
    ada.till.pay(opened.checkout)

    await ada.hear()

    back = replace(starter)
    ada.plan("plan_starter", price=back.price)
    await catalog.push(ada.till.ctx, OPERATOR, dry_run=False, progress=lambda _: None)
    assert ada.till.credits() == 100


async def test_pitfall_09_a_trial_brings_its_credits_once_for_ever(ada: Subscriber) -> None:
    """Nothing is due, so there is no payment intent; and a trial is had once for each family."""
    ada.plan("plan_starter", trial_days=14, trial_credits=starter_trial(ada))
    ada.plan("plan_business", trial_days=14, trial_credits=starter_trial(ada))
    first = await ada.subscribe("plan_starter")
    in_trial = ada.till.credits()
    ada.till.sandbox.http().delete(f"/v1/subscriptions/{first.stripe_subscription_id}")
    await ada.hear()

    second = await ada.subscribe("plan_business")

    assert (str(first.status), in_trial) == ("trialing", 100)
    assert (str(second.status), second.trial_end) == ("active", None)
    assert ada.till.credits() == 100 + 2000
    assert [row[2] for row in ada.invoices()] == ["trial_granted", "granted"]


def starter_trial(ada: Subscriber) -> Any:
    """As many credits as the smallest plan has."""
    found = ada.till.ctx.catalog.by_lookup_key("plan_starter")
    assert found is not None
    return found.credits

"""How plans are bought: in Checkout and by the API, refused, delayed, on trial, left alone."""

from typing import Any

import pytest
import stripe

from sandbox import life as playing
from sandbox.life import DAY, HOUR, LEEWAY, Life
from sandbox.process import Running

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def life(sandbox: Running, client: stripe.StripeClient) -> Life:
    """A customer with a good card, on 31 January."""
    return playing.begin(sandbox, client)


def test_a_subscription_begins_in_checkout(life: Life) -> None:
    price = life.price(2000)
    params: Any = {
        "mode": "subscription",
        "customer": life.customer,
        "line_items": [{"price": price, "quantity": 2}],
        "success_url": "https://shop.example/done",
        "subscription_data": {"metadata": {"wallet": "1"}},
    }
    session = life.client.v1.checkout.sessions.create(params)

    declined = life.sandbox.control(f"checkout/sessions/{session.id}/pay", card="4000000000000002")
    paid = life.sandbox.control(f"checkout/sessions/{session.id}/pay")

    done = life.client.v1.checkout.sessions.retrieve(session.id, {"expand": ["subscription", "invoice"]})
    subscription, invoice = done.to_dict()["subscription"], done.to_dict()["invoice"]
    assert (declined["outcome"], paid["outcome"]) == ("declined", "succeeded")
    assert (done.payment_status, done.amount_total, subscription["status"]) == ("paid", 4000, "active")
    assert subscription["metadata"] == {"wallet": "1"}
    assert subscription["default_payment_method"]
    assert (invoice["billing_reason"], invoice["status"]) == ("subscription_create", "paid")
    assert len(life.client.v1.subscriptions.list({"customer": life.customer}).data) == 1
    told = life.told()
    for kind in ("customer.subscription.created", "invoice.paid", "checkout.session.completed"):
        assert told.count(kind) == 1


def test_a_trial_in_checkout_saves_the_card_first(life: Life) -> None:
    params: Any = {
        "mode": "subscription",
        "customer": life.customer,
        "line_items": [{"price": life.price(2000), "quantity": 1}],
        "success_url": "https://shop.example/done",
        "subscription_data": {"trial_period_days": 14},
    }
    session = life.client.v1.checkout.sessions.create(params)

    declined = life.sandbox.control(f"checkout/sessions/{session.id}/pay", card="4000000000000002")
    none_yet = life.client.v1.subscriptions.list({"customer": life.customer}).data
    asked = life.sandbox.control(
        f"checkout/sessions/{session.id}/pay", card="4000002500003155", authenticate="complete"
    )
    life.later(14 * DAY + LEEWAY)

    assert (declined["outcome"], none_yet) == ("declined", [])
    assert asked["outcome"] == "no_payment_required"
    (subscription,) = life.client.v1.subscriptions.list({"customer": life.customer}).data
    assert subscription.status == "active"
    assert life.invoices(subscription.to_dict())[-1]["amount_paid"] == 2000


def test_a_plan_that_the_customers_balance_pays_only_saves_the_card(life: Life) -> None:
    life.client.v1.customers.update(life.customer, {"balance": -5000})
    params: Any = {
        "mode": "subscription",
        "customer": life.customer,
        "line_items": [{"price": life.price(2000), "quantity": 1}],
        "success_url": "https://shop.example/done",
    }
    session = life.client.v1.checkout.sessions.create(params)

    paid = life.sandbox.control(f"checkout/sessions/{session.id}/pay")

    done = life.client.v1.checkout.sessions.retrieve(session.id, {"expand": ["subscription", "invoice"]})
    subscription, invoice = done.to_dict()["subscription"], done.to_dict()["invoice"]
    assert (paid["outcome"], done.status, subscription["status"]) == (
        "no_payment_required",
        "complete",
        "active",
    )
    assert subscription["default_payment_method"]
    assert (invoice["status"], invoice["amount_due"], invoice["ending_balance"]) == ("paid", 0, -3000)


def test_a_session_of_a_clock_expires_on_its_clock(life: Life) -> None:
    params: Any = {
        "mode": "subscription",
        "customer": life.customer,
        "line_items": [{"price": life.price(2000), "quantity": 1}],
        "success_url": "https://shop.example/done",
    }
    session = life.client.v1.checkout.sessions.create(params)

    life.later(25 * HOUR)

    assert life.client.v1.checkout.sessions.retrieve(session.id).status == "expired"
    assert "checkout.session.expired" in life.told()


def test_a_delayed_first_payment_begins_the_plan_and_may_fail(life: Life) -> None:
    params: Any = {
        "mode": "subscription",
        "customer": life.customer,
        "line_items": [{"price": life.price(2000), "quantity": 1}],
        "success_url": "https://shop.example/done",
    }
    opened = life.client.v1.checkout.sessions.create(params)

    life.sandbox.control(f"checkout/sessions/{opened.id}/pay", method="bank")
    waiting = life.client.v1.checkout.sessions.retrieve(
        opened.id, {"expand": ["subscription", "invoice"]}
    ).to_dict()
    life.sandbox.control(f"checkout/sessions/{opened.id}/settle", outcome="fail")

    assert (waiting["status"], waiting["payment_status"]) == ("complete", "unpaid")
    assert (waiting["subscription"]["status"], waiting["invoice"]["status"]) == ("active", "open")
    assert life.subscription(waiting["subscription"])["status"] == "past_due"
    told = life.told()
    assert {"invoice.payment_failed", "checkout.session.async_payment_failed"} <= set(told)
    assert "invoice.paid" not in told


def test_a_first_payment_that_is_refused_leaves_an_incomplete_subscription(life: Life) -> None:
    life.pay_with("pm_card_chargeCustomerFail")

    subscription = life.subscribe(life.price(2000))
    refused = life.invoices(subscription)[0]
    life.later(23 * HOUR)

    assert (subscription["status"], refused["status"]) == ("incomplete", "open")
    assert life.subscription(subscription)["status"] == "incomplete_expired"
    assert life.invoices(subscription)[0]["status"] == "void"
    with pytest.raises(stripe.CardError):
        life.subscribe(life.price(2000), payment_behavior="error_if_incomplete")
    assert len(life.client.v1.subscriptions.list({"customer": life.customer, "status": "all"}).data) == 1


def test_a_first_payment_can_be_made_by_the_buyer(life: Life) -> None:
    params: Any = ["latest_invoice.confirmation_secret", "latest_invoice.payments"]
    subscription = life.subscribe(life.price(2000), payment_behavior="default_incomplete", expand=params)
    invoice = subscription["latest_invoice"]
    intent = invoice["payments"]["data"][0]["payment"]["payment_intent"]

    life.client.v1.payment_intents.confirm(intent, {"payment_method": "pm_card_visa"})

    assert (subscription["status"], invoice["status"]) == ("incomplete", "open")
    assert invoice["confirmation_secret"]["client_secret"].startswith(intent)
    assert life.subscription(subscription)["status"] == "active"
    assert life.invoices(subscription)[0]["status"] == "paid"


def test_a_plan_that_was_refused_in_checkout_is_forgotten_with_the_session(life: Life) -> None:
    params: Any = {
        "mode": "subscription",
        "customer": life.customer,
        "line_items": [{"price": life.price(2000), "quantity": 1}],
        "success_url": "https://shop.example/done",
    }
    session = life.client.v1.checkout.sessions.create(params)
    life.sandbox.control(f"checkout/sessions/{session.id}/pay", card="4000000000000002")

    life.client.v1.checkout.sessions.expire(session.id)

    every: Any = {"customer": life.customer, "status": "all"}
    (left,) = life.client.v1.subscriptions.list(every).data
    assert left.status == "incomplete_expired"
    assert [one["status"] for one in life.invoices(left.to_dict())] == ["void"]


def test_a_clock_goes_forward_only_and_takes_all_with_it_when_it_is_deleted(life: Life) -> None:
    clocks = life.client.v1.test_helpers.test_clocks
    life.subscribe(life.price(2000))
    before = clocks.retrieve(life.clock)

    with pytest.raises(stripe.InvalidRequestError):
        clocks.advance(life.clock, {"frozen_time": before.frozen_time})
    clocks.delete(life.clock)

    assert before.status == "ready"
    assert life.client.v1.customers.retrieve(life.customer).to_dict()["deleted"] is True
    assert life.client.v1.subscriptions.list({"customer": life.customer}).data == []

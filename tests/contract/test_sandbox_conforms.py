"""Drives the sandbox with the official SDK; every answer and event must be as Stripe's types say.

Whether the sandbox behaves as Stripe does is tested in ``tests/sandbox``; here only the shapes
count, so each test is a story that makes as many kinds of objects as it can.
"""

import pytest
import stripe
from contract.desk import Desk
from stripe.params.checkout import SessionCreateParams

GOOD = "4242424242424242"
DECLINED = "4000000000000002"
NEEDS_3DS = "4000002500003155"
URLS: SessionCreateParams = {
    "success_url": "http://127.0.0.1:9/done?s={CHECKOUT_SESSION_ID}",
    "cancel_url": "http://127.0.0.1:9/back",
}


def session_for(desk: Desk, *, amount: int = 1200, customer: str | None = None) -> str:
    """Open a session for one inline price, for a known customer or a guest."""
    params: SessionCreateParams = {
        **URLS,
        "mode": "payment",
        "client_reference_id": "ref-1",
        "metadata": {"pack": "small"},
        "line_items": [
            {
                "quantity": 2,
                "price_data": {
                    "currency": "usd",
                    "unit_amount": amount,
                    "product_data": {"name": "Credits"},
                },
            }
        ],
    }
    if customer:
        params["customer"] = customer
    return desk.stripe.checkout.sessions.create(params).id


def check(desk: Desk, *event_types: str) -> None:
    """Fail on any deviation, and if an expected event never came."""
    recording = desk.verdict()

    assert set(event_types) <= recording.event_types
    assert recording.deviations == []
    assert recording.seen > len(event_types)


def test_a_catalog_of_products_and_prices_conforms(desk: Desk) -> None:
    client = desk.stripe
    product = client.products.create(
        {"name": "Small pack", "description": "1000 credits", "metadata": {"sku": "s"}}
    )
    one_time = client.prices.create(
        {"product": product.id, "currency": "usd", "unit_amount": 999, "lookup_key": "small"}
    )
    client.prices.create(
        {"product": product.id, "currency": "usd", "unit_amount": 1999, "nickname": "renamed"}
    )

    client.prices.update(one_time.id, {"active": False, "metadata": {"old": "yes"}})
    client.products.update(product.id, {"name": "Starter pack", "default_price": one_time.id})
    client.prices.retrieve(one_time.id, {"expand": ["product"]})
    client.prices.list({"lookup_keys": ["small"], "limit": 1, "expand": ["data.product"]})
    unsold = client.products.create({"name": "Never sold"})
    client.products.delete(unsold.id)

    check(desk, "product.created", "product.updated", "product.deleted", "price.created")


def test_a_recurring_price_conforms(desk: Desk) -> None:
    product = desk.stripe.products.create({"name": "Plan"})

    desk.stripe.prices.create(
        {
            "product": product.id,
            "currency": "eur",
            "unit_amount": 2000,
            "recurring": {"interval": "month"},
            "tax_behavior": "exclusive",
        }
    )

    check(desk, "price.created")


def test_a_customer_and_a_saved_card_conform(desk: Desk) -> None:
    client = desk.stripe
    customer = client.customers.create(
        {
            "email": "kim@example.com",
            "name": "Kim",
            "metadata": {"account": "7"},
            "address": {"country": "DE", "city": "Berlin", "line1": "Street 1"},
        }
    )
    client.customers.update(customer.id, {"name": "Kim Lee", "phone": "+4930123456"})
    card = client.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}})
    client.payment_methods.attach(card.id, {"customer": customer.id})
    client.customers.payment_methods.list(customer.id)
    client.payment_methods.detach(card.id)

    client.customers.delete(customer.id)
    client.customers.retrieve(customer.id)

    check(
        desk,
        "customer.created",
        "customer.updated",
        "customer.deleted",
        "payment_method.attached",
        "payment_method.detached",
    )


def test_a_paid_session_with_an_invoice_and_refunds_conforms(desk: Desk) -> None:
    client = desk.stripe
    customer = client.customers.create({"email": "kim@example.com"})
    product = client.products.create({"name": "Pack"})
    price = client.prices.create({"product": product.id, "currency": "usd", "unit_amount": 5000})
    session = client.checkout.sessions.create(
        {
            **URLS,
            "mode": "payment",
            "customer": customer.id,
            "line_items": [{"price": price.id, "quantity": 1}],
            "invoice_creation": {"enabled": True},
            "payment_intent_data": {"metadata": {"wallet": "1"}},
        }
    )

    outcome = desk.pay(session.id, card=GOOD)["outcome"]
    paid = client.checkout.sessions.retrieve(
        session.id,
        {"expand": ["line_items", "payment_intent.latest_charge", "customer", "invoice"]},
    )
    intent = paid.payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    client.refunds.create({"payment_intent": intent.id, "amount": 2000})
    client.refunds.create({"payment_intent": intent.id, "reason": "requested_by_customer"})
    client.checkout.sessions.line_items.list(session.id)

    assert outcome != "declined"
    check(
        desk,
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
        "invoice.paid",
        "refund.created",
        "charge.refunded",
    )


def test_a_guest_who_is_declined_first_conforms(desk: Desk) -> None:
    session = session_for(desk)

    declined = desk.pay(session, card=DECLINED)
    desk.stripe.checkout.sessions.retrieve(session, {"expand": ["payment_intent"]})
    desk.pay(session, card=GOOD)

    assert declined["error"]["code"] == "card_declined"
    check(desk, "payment_intent.payment_failed", "charge.failed", "checkout.session.completed")


@pytest.mark.parametrize(
    ("step", "event"),
    [
        ("complete", "payment_intent.succeeded"),
        ("fail", "payment_intent.payment_failed"),
    ],
)
def test_a_three_d_secure_step_conforms(desk: Desk, step: str, event: str) -> None:
    session = session_for(desk)

    desk.pay(session, card=NEEDS_3DS)
    waiting = desk.stripe.checkout.sessions.retrieve(session, {"expand": ["payment_intent"]})
    intent = waiting.payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    desk.control(f"payment_intents/{intent.id}/authenticate", outcome=step)

    check(desk, "payment_intent.requires_action", event)


@pytest.mark.parametrize(
    ("outcome", "event"),
    [
        ("succeed", "checkout.session.async_payment_succeeded"),
        ("fail", "checkout.session.async_payment_failed"),
    ],
)
def test_a_delayed_payment_conforms(desk: Desk, outcome: str, event: str) -> None:
    session = session_for(desk)

    desk.pay(session, method="bank")
    waiting = desk.stripe.checkout.sessions.retrieve(session, {"expand": ["payment_intent"]})
    desk.settle(session, outcome)

    assert waiting.payment_status == "unpaid"
    check(desk, "payment_intent.processing", "checkout.session.completed", event)


def test_a_session_for_nothing_conforms(desk: Desk) -> None:
    session = session_for(desk, amount=0)

    desk.pay(session)

    done = desk.stripe.checkout.sessions.retrieve(session)
    assert done.payment_status == "no_payment_required"
    check(desk, "checkout.session.completed")


def test_an_expired_session_conforms(desk: Desk) -> None:
    session = session_for(desk)

    desk.stripe.checkout.sessions.expire(session)

    check(desk, "checkout.session.expired")


def test_payments_without_a_session_conform(desk: Desk) -> None:
    client = desk.stripe
    customer = client.customers.create({"email": "kim@example.com"})
    card = client.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    client.payment_intents.create(
        {
            "amount": 1500,
            "currency": "usd",
            "customer": customer.id,
            "payment_method": card.id,
            "confirm": True,
            "off_session": True,
            "expand": ["latest_charge.balance_transaction"],
        }
    )
    unpaid = client.payment_intents.create({"amount": 700, "currency": "jpy"})
    client.payment_intents.update(unpaid.id, {"amount": 800, "metadata": {"a": "b"}})
    client.payment_intents.cancel(unpaid.id, {"cancellation_reason": "abandoned"})

    with pytest.raises(stripe.CardError):
        client.payment_intents.create(
            {
                "amount": 1500,
                "currency": "usd",
                "payment_method": "pm_card_chargeDeclined",
                "confirm": True,
                "return_url": "http://127.0.0.1:9/done",
            }
        )

    check(desk, "payment_intent.succeeded", "payment_intent.canceled", "charge.failed")


def test_webhook_endpoints_conform(desk: Desk) -> None:
    client = desk.stripe
    made = client.webhook_endpoints.create(
        {
            "url": "http://127.0.0.1:9/hook",
            "enabled_events": ["checkout.session.completed"],
            "api_version": "2026-10-28.endive",
        }
    )

    client.webhook_endpoints.update(made.id, {"enabled_events": ["*"], "disabled": True})
    client.webhook_endpoints.list()
    client.webhook_endpoints.delete(made.id)

    assert made.secret
    assert desk.verdict().deviations == []

"""Optional parameters of the sandbox's requests: whatever is set, the shapes stay Stripe's."""

import pytest
import stripe
from contract.desk import Desk
from stripe.params.checkout import SessionCreateParams

GOOD = "4242424242424242"
BASE: SessionCreateParams = {
    "mode": "payment",
    "success_url": "http://127.0.0.1:9/done",
    "cancel_url": "http://127.0.0.1:9/back",
    "line_items": [
        {
            "quantity": 1,
            "price_data": {
                "currency": "usd",
                "unit_amount": 1000,
                "product_data": {
                    "name": "Credits",
                    "description": "1000 credits",
                    "images": ["https://127.0.0.1/pack.png"],
                    "metadata": {"sku": "s"},
                },
            },
        }
    ],
}
OPTIONS: dict[str, SessionCreateParams] = {
    "appearance": {
        "locale": "de",
        "submit_type": "pay",
        "ui_mode": "hosted_page",
        "billing_address_collection": "required",
        "allow_promotion_codes": True,
        "automatic_tax": {"enabled": False},
    },
    "new customer": {"customer_email": "kim@example.com", "customer_creation": "always"},
    "saved card": {
        "customer_creation": "always",
        "payment_intent_data": {
            "description": "pack",
            "receipt_email": "kim@example.com",
            "setup_future_usage": "off_session",
            "metadata": {"wallet": "1"},
        },
    },
    "invoice": {
        "invoice_creation": {
            "enabled": True,
            "invoice_data": {
                "description": "pack",
                "footer": "thanks",
                "metadata": {"wallet": "1"},
                "custom_fields": [{"name": "PO", "value": "7"}],
            },
        }
    },
}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_session_with_options_conforms_from_opening_to_refund(desk: Desk, name: str) -> None:
    params: SessionCreateParams = {**BASE, **OPTIONS[name]}
    session = desk.stripe.checkout.sessions.create(params)

    desk.pay(session.id, card=GOOD)
    desk.stripe.checkout.sessions.update(session.id, {"metadata": {"seen": "yes"}})
    paid = desk.stripe.checkout.sessions.retrieve(session.id)
    assert isinstance(paid.payment_intent, str)
    desk.stripe.refunds.create({"payment_intent": paid.payment_intent, "metadata": {"why": "test"}})

    assert desk.verdict().deviations == []


@pytest.mark.parametrize("currency", ["eur", "jpy", "kwd"])
def test_bank_debits_in_any_currency_conform(desk: Desk, currency: str) -> None:
    params: SessionCreateParams = {
        "mode": "payment",
        "success_url": "http://127.0.0.1:9/done",
        "line_items": [
            {
                "quantity": 3,
                "price_data": {
                    "currency": currency,
                    "unit_amount": 1000,
                    "product_data": {"name": "Credits"},
                },
            }
        ],
    }

    for outcome in ("succeed", "fail"):
        session = desk.stripe.checkout.sessions.create(params)
        desk.pay(session.id, method="bank")
        desk.settle(session.id, outcome)

    recording = desk.verdict()
    assert recording.deviations == []
    assert "checkout.session.async_payment_failed" in recording.event_types


@pytest.mark.parametrize(
    "card",
    ["chargeDeclinedInsufficientFunds", "chargeDeclinedExpiredCard", "chargeDeclinedIncorrectCvc"],
)
def test_each_kind_of_refused_card_conforms_also_inside_the_refusal(desk: Desk, card: str) -> None:
    with pytest.raises(stripe.CardError):
        desk.stripe.payment_intents.create(
            {
                "amount": 1000,
                "currency": "usd",
                "payment_method": f"pm_card_{card}",
                "confirm": True,
                "return_url": "http://127.0.0.1:9/done",
            }
        )

    recording = desk.verdict()
    assert recording.deviations == []
    assert "payment_intent.payment_failed" in recording.event_types


def test_a_payment_that_needs_the_absent_buyer_conforms(desk: Desk) -> None:
    customer = desk.stripe.customers.create({"email": "kim@example.com"})

    with pytest.raises(stripe.CardError, match="authentication"):
        desk.stripe.payment_intents.create(
            {
                "amount": 1000,
                "currency": "usd",
                "customer": customer.id,
                "payment_method": "pm_card_authenticationRequired",
                "confirm": True,
                "off_session": True,
            }
        )

    assert desk.verdict().deviations == []


def test_a_customer_with_every_field_conforms(desk: Desk) -> None:
    client = desk.stripe
    customer = client.customers.create(
        {
            "email": "kim@example.com",
            "name": "Kim",
            "description": "a buyer",
            "phone": "+4930123456",
            "preferred_locales": ["de", "en"],
            "tax_exempt": "exempt",
            "address": {"line1": "Street 1", "country": "DE"},
            "shipping": {"name": "Kim", "address": {"line1": "Street 1", "country": "DE"}},
            "invoice_settings": {"footer": "thanks", "custom_fields": [{"name": "PO", "value": "7"}]},
        }
    )
    card = client.payment_methods.attach("pm_card_mastercard", {"customer": customer.id})
    client.customers.update(
        customer.id, {"invoice_settings": {"default_payment_method": card.id}, "metadata": {"a": "b"}}
    )
    client.customers.update(customer.id, {"metadata": {"a": ""}, "shipping": ""})
    client.customers.retrieve(customer.id, {"expand": ["invoice_settings.default_payment_method"]})

    assert desk.verdict().deviations == []


def test_a_product_and_prices_with_every_field_conform(desk: Desk) -> None:
    client = desk.stripe
    product = client.products.create(
        {
            "name": "Pack",
            "description": "credits",
            "images": ["https://127.0.0.1/pack.png"],
            "marketing_features": [{"name": "fast"}],
            "metadata": {"sku": "s"},
            "unit_label": "credit",
            "url": "https://127.0.0.1/pack",
            "default_price_data": {"currency": "usd", "unit_amount": 500},
            "expand": ["default_price"],
        }
    )
    first = client.prices.create(
        {"product": product.id, "currency": "usd", "unit_amount": 700, "lookup_key": "pack"}
    )
    client.prices.create(
        {
            "product": product.id,
            "currency": "usd",
            "unit_amount": 800,
            "lookup_key": "pack",
            "transfer_lookup_key": True,
        }
    )
    client.prices.create(
        {
            "product_data": {"name": "Metered"},
            "currency": "usd",
            "unit_amount": 1,
            "recurring": {"interval": "month", "interval_count": 3},
        }
    )

    assert client.prices.retrieve(first.id).lookup_key is None
    assert desk.verdict().deviations == []

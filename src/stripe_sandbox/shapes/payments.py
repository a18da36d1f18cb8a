"""Bodies of payment intents, charges, refunds and balance transactions.

Leaves moving them from state to state to ``payment``.
"""

from stripe_sandbox.ids import new_id, random_text
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes.catalog import address


def payment_intent(now: int, fields: Json) -> Json:
    """Return a payment intent; `fields` must hold amount (minor units) and currency."""
    intent_id = new_id("pi")
    body: Json = {
        "id": intent_id,
        "object": "payment_intent",
        "allowed_payment_method_types": None,
        "amount": 0,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "client_secret": f"{intent_id}_secret_{random_text(25)}",
        "confirmation_method": "automatic",
        "created": now,
        "currency": "usd",
        "customer": None,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "managed_payments": None,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {
            "card": {
                "installments": None,
                "mandate_options": None,
                "network": None,
                "request_three_d_secure": "automatic",
            }
        },
        "payment_method_types": ["card"],
        "payment_record": None,
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }
    return body | fields


def shipping(given: Json | None) -> Json | None:
    """Return where goods are sent, or ``None`` if nothing is sent."""
    if not given:
        return None
    known = {name: given.get(name) or None for name in ("carrier", "name", "phone", "tracking_number")}
    return known | {"address": address(given.get("address"))}


def charge(now: int, intent: Json, method: Json, fields: Json) -> Json:
    """Return a charge of an intent with a payment method; `fields` holds the outcome."""
    body: Json = {
        "id": new_id("ch" if method["type"] == "card" else "py"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": method["billing_details"],
        "calculated_statement_descriptor": "TALLYBOOK SANDBOX",
        "captured": False,
        "created": now,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "on_behalf_of": None,
        "outcome": None,
        "paid": False,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": method_details(method),
        "radar_options": {},
        "receipt_email": intent["receipt_email"],
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": intent["shipping"],
        "source": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "transfer_data": None,
        "transfer_group": None,
    }
    return body | fields


def method_details(method: Json) -> Json:
    """Return what a charge says about the payment method it used."""
    kind = method["type"]
    if kind == "card":
        return {"type": "card", "card": _card_details(method["card"])}
    bank = dict(method[kind])
    details = {
        "us_bank_account": {
            "account_holder_type": bank.get("account_holder_type"),
            "account_type": bank.get("account_type"),
            "bank_name": bank.get("bank_name"),
            "fingerprint": bank["fingerprint"],
            "last4": bank["last4"],
            "payment_reference": None,
            "routing_number": bank.get("routing_number"),
        },
        "sepa_debit": {
            "bank_code": bank.get("bank_code"),
            "branch_code": bank.get("branch_code"),
            "country": bank.get("country"),
            "fingerprint": bank["fingerprint"],
            "last4": bank["last4"],
            "mandate": None,
        },
    }
    return {"type": kind, kind: details[kind]}


def _card_details(card: Json) -> Json:
    return {
        "amount_authorized": None,
        "authorization_code": None,
        "brand": card["brand"],
        "checks": card["checks"],
        "country": card["country"],
        "electronic_commerce_indicator": None,
        "exp_month": card["exp_month"],
        "exp_year": card["exp_year"],
        "fingerprint": card["fingerprint"],
        "funding": card["funding"],
        "installments": None,
        "last4": card["last4"],
        "mandate": None,
        "network": card["brand"],
        "network_transaction_id": None,
        "regulated_status": card["regulated_status"],
        "three_d_secure": None,
        "transaction_link_id": None,
        "wallet": None,
    }


def outcome(fields: Json) -> Json:
    """Return the ``outcome`` of a charge."""
    body: Json = {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network",
        "reason": None,
        "risk_level": "normal",
        "risk_score": 20,
        "seller_message": "Payment complete.",
        "type": "authorized",
    }
    return body | fields


def refund(now: int, charge_body: Json, fields: Json) -> Json:
    """Return a refund of a charge; `fields` holds amount, reason and metadata."""
    body: Json = {
        "id": new_id("re"),
        "object": "refund",
        "balance_transaction": None,
        "charge": charge_body["id"],
        "created": now,
        "currency": charge_body["currency"],
        "customer": charge_body["customer"],
        "customer_account": None,
        "destination_details": {
            "type": "card",
            "card": {
                "reference_status": "pending",
                "reference_type": "acquirer_reference_number",
                "type": "refund",
            },
        },
        "metadata": {},
        "payment_intent": charge_body["payment_intent"],
        "payment_method": charge_body["payment_method"],
        "reason": None,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }
    if charge_body["payment_method_details"]["type"] != "card":
        del body["destination_details"]
    return body | fields


def balance_transaction(now: int, source: Json, *, amount: int, fee: int, kind: str | None = None) -> Json:
    """Return the entry in the account's balance; amounts in minor units, what leaves it negative."""
    kind = kind or source["object"]
    fees = [
        {
            "amount": fee,
            "application": None,
            "currency": source["currency"],
            "description": "Dispute fee" if source["object"] == "dispute" else "Stripe processing fees",
            "type": "stripe_fee",
        }
    ]
    return {
        "id": new_id("txn"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": now,
        "balance_type": "payments",
        "created": now,
        "currency": source["currency"],
        "description": None,
        "exchange_rate": None,
        "fee": fee,
        "fee_details": fees if fee else [],
        "net": amount - fee,
        "reporting_category": kind,
        "source": source["id"],
        "status": "available",
        "type": kind,
    }

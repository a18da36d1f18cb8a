"""Bodies of invoices, their lines and payments. Leaves their life to ``invoicing``."""

from stripe_sandbox.ids import new_id
from stripe_sandbox.kinds import ACCOUNT_ID, Json


def invoice(now: int, customer: Json, fields: Json) -> Json:
    """Return a draft invoice for a customer."""
    body: Json = (
        _unused()
        | _billed_to(customer)
        | {
            "id": new_id("in"),
            "object": "invoice",
            "account_country": "US",
            "account_name": "Tallybook Sandbox",
            "amount_due": 0,
            "amount_overpaid": 0,
            "amount_paid": 0,
            "amount_remaining": 0,
            "amount_shipping": 0,
            "automatic_tax": {
                "disabled_reason": None,
                "enabled": False,
                "liability": None,
                "provider": None,
                "status": None,
            },
            "billing_reason": "manual",
            "collection_method": "charge_automatically",
            "created": now,
            "currency": "usd",
            "issuer": {"type": "self"},
            "metadata": {},
            "payment_settings": {
                "default_mandate": None,
                "payment_method_options": None,
                "payment_method_types": None,
            },
            "period_end": now,
            "period_start": now,
            "status": "draft",
            "status_transitions": {
                "finalized_at": None,
                "marked_uncollectible_at": None,
                "paid_at": None,
                "voided_at": None,
            },
        }
    )
    body |= fields
    body["lines"] = {
        "object": "list",
        "data": [],
        "has_more": False,
        "url": f"/v1/invoices/{body['id']}/lines",
    }
    return body


def _billed_to(customer: Json) -> Json:
    """Return the customer's details as they are copied to an invoice."""
    return {
        "customer": customer["id"],
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_shipping": customer["shipping"],
        "customer_tax_exempt": customer["tax_exempt"],
    }


def _unused() -> Json:
    """Return the fields that say nothing on a plain draft."""
    return {
        "account_tax_ids": None,
        "application": None,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": False,
        "automatically_finalizes_at": None,
        "custom_fields": None,
        "customer_account": None,
        "customer_tax_ids": [],
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "due_date": None,
        "effective_at": None,
        "ending_balance": None,
        "footer": None,
        "from_invoice": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "last_finalization_error": None,
        "latest_revision": None,
        "livemode": False,
        "next_payment_attempt": None,
        "number": None,
        "on_behalf_of": None,
        "parent": None,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "rendering": None,
        "shipping_cost": None,
        "shipping_details": None,
        "starting_balance": 0,
        "subtotal": 0,
        "subtotal_excluding_tax": 0,
        "statement_descriptor": None,
        "test_clock": None,
        "total": 0,
        "total_discount_amounts": [],
        "total_pretax_credit_amounts": [],
        "total_excluding_tax": 0,
        "total_taxes": [],
        "webhooks_delivered_at": None,
    }


def invoice_payment(now: int, invoice_body: Json, intent: Json) -> Json:
    """Return the paid link between an invoice and the intent that paid it."""
    return {
        "id": new_id("inpay"),
        "object": "invoice_payment",
        "amount_paid": intent["amount"],
        "amount_requested": intent["amount"],
        "created": now,
        "currency": intent["currency"],
        "invoice": invoice_body["id"],
        "is_default": True,
        "livemode": False,
        "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
        "status": "paid",
        "status_transitions": {"canceled_at": None, "paid_at": now},
    }


def open_payment(now: int, invoice_body: Json, intent: Json) -> Json:
    """Return the link between an open invoice and the intent that is to pay it."""
    body = invoice_payment(now, invoice_body, intent)
    return body | {"amount_paid": None, "status": "open", "status_transitions": _not_yet()}


def _not_yet() -> Json:
    return {"canceled_at": None, "paid_at": None}


def account(fields: Json | None = None) -> Json:
    """Return the one account of the sandbox."""
    body: Json = {
        "id": ACCOUNT_ID,
        "object": "account",
        "charges_enabled": True,
        "country": "US",
        "default_currency": "usd",
        "details_submitted": True,
        "email": None,
        "payouts_enabled": True,
        "type": "standard",
    }
    return body | (fields or {})

"""Bodies of checkout sessions and their line items. Leaves their life to ``checkout``."""

from stripe_sandbox.ids import new_id
from stripe_sandbox.kinds import Json


def session(now: int, fields: Json) -> Json:
    """Return an open session in payment mode."""
    return (
        _unused()
        | {
            "id": new_id("cs_test", 58),
            "object": "checkout.session",
            "adaptive_pricing": {"enabled": False},
            "amount_subtotal": 0,
            "amount_total": 0,
            "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
            "cancel_url": None,
            "client_reference_id": None,
            "created": now,
            "currency": None,
            "custom_text": {
                "after_submit": None,
                "shipping_address": None,
                "submit": None,
                "terms_of_service_acceptance": None,
            },
            "customer": None,
            "customer_details": None,
            "customer_email": None,
            "expires_at": now,
            "invoice": None,
            "livemode": False,
            "metadata": {},
            "mode": "payment",
            "payment_intent": None,
            "payment_method_collection": "if_required",
            "payment_method_options": {},
            "payment_method_types": ["card"],
            "payment_status": "unpaid",
            "phone_number_collection": {"enabled": False},
            "status": "open",
            "success_url": None,
            "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
            "ui_mode": "hosted_page",
            "url": None,
        }
        | fields
    )


def _unused() -> Json:
    """Return the fields of features that a session does not use unless asked to."""
    return {
        "after_expiration": None,
        "allow_promotion_codes": None,
        "allowed_payment_method_types": None,
        "billing_address_collection": None,
        "client_secret": None,
        "collected_information": None,
        "consent": None,
        "consent_collection": None,
        "currency_conversion": None,
        "custom_fields": [],
        "customer_account": None,
        "customer_creation": None,
        "discounts": [],
        "integration_identifier": None,
        "invoice_creation": None,
        "locale": None,
        "managed_payments": None,
        "origin_context": None,
        "payment_link": None,
        "payment_method_configuration_details": None,
        "permissions": None,
        "recovered_from": None,
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_address_collection": None,
        "shipping_cost": None,
        "shipping_options": [],
        "submit_type": None,
        "subscription": None,
        "wallet_options": None,
    }


def line_item(price: Json, *, description: str, quantity: int, metadata: Json) -> Json:
    """Return one line of a session; the price is a copy as of now, as at Stripe."""
    total = price["unit_amount"] * quantity
    return {
        "id": new_id("li"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": total,
        "amount_tax": 0,
        "amount_total": total,
        "currency": price["currency"],
        "description": description,
        "metadata": metadata,
        "price": price,
        "quantity": quantity,
    }


def customer_details(fields: Json) -> Json:
    """Return what a session knows of its buyer."""
    body: Json = {
        "address": None,
        "business_name": None,
        "email": None,
        "individual_name": None,
        "name": None,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }
    return body | fields


def invoice_creation(given: Json | None) -> Json:
    """Return the ``invoice_creation`` part of a session from the request's."""
    wanted = given or {"enabled": False}
    data = wanted.get("invoice_data", {})
    return {
        "enabled": bool(wanted["enabled"]),
        "invoice_data": {
            "account_tax_ids": None,
            "custom_fields": data.get("custom_fields") or None,
            "description": data.get("description"),
            "footer": data.get("footer"),
            "issuer": None,
            "metadata": data.get("metadata", {}),
            "rendering_options": None,
        },
    }

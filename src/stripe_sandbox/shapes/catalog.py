"""Bodies of customers, products and prices. Leaves rules about them to ``api``."""

from stripe_sandbox.ids import new_id
from stripe_sandbox.kinds import Json


def customer(now: int, fields: Json) -> Json:
    """Return a customer; `fields` overrides the defaults."""
    body: Json = {
        "id": new_id("cus", 14),
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": now,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": new_id("x", 8)[2:].upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }
    return body | fields


def product(now: int, fields: Json) -> Json:
    """Return a product; `fields` must hold its name."""
    body: Json = {
        "id": new_id("prod", 14),
        "object": "product",
        "active": True,
        "created": now,
        "default_price": None,
        "description": None,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": {},
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "tax_details": None,
        "type": "service",
        "unit_label": None,
        "updated": now,
        "url": None,
    }
    return body | fields


def price(now: int, fields: Json) -> Json:
    """Return a price; `fields` must hold product, currency and amount (in minor units)."""
    body: Json = {
        "id": new_id("price"),
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "created": now,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "recurring": None,
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
    }
    body |= fields
    body["type"] = "recurring" if body["recurring"] else "one_time"
    return body


def recurring(fields: Json) -> Json:
    """Return the ``recurring`` part of a price."""
    return {
        "interval": fields["interval"],
        "interval_count": fields.get("interval_count", 1),
        "meter": fields.get("meter"),
        "trial_period_days": fields.get("trial_period_days"),
        "usage_type": fields.get("usage_type", "licensed"),
    }


ADDRESS_FIELDS = ("city", "country", "line1", "line2", "postal_code", "state")


def address(fields: Json | None) -> Json | None:
    """Return a complete address, or ``None`` if nothing is known."""
    if not fields or not any(fields.values()):
        return None
    return {name: fields.get(name) or None for name in ADDRESS_FIELDS}

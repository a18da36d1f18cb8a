"""Bodies of subscriptions, their items and the plans inside. Leaves their life to ``billing``."""

from stripe_sandbox.ids import new_id
from stripe_sandbox.kinds import Json


def subscription(now: int, customer: Json, fields: Json) -> Json:
    """Return an incomplete subscription without items; `fields` holds its currency and anchor."""
    body: Json = _unused() | {
        "id": new_id("sub"),
        "object": "subscription",
        "billing_cycle_anchor": now,
        "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible"},
        "collection_method": "charge_automatically",
        "created": now,
        "customer": customer["id"],
        "livemode": False,
        "metadata": {},
        "start_date": now,
        "status": "incomplete",
        "test_clock": customer["test_clock"],
    }
    body |= fields
    body["items"] = {
        "object": "list",
        "data": [],
        "has_more": False,
        "url": f"/v1/subscription_items?subscription={body['id']}",
    }
    return body


def _unused() -> Json:
    return {
        "application": None,
        "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor_config": None,
        "billing_schedules": [],
        "billing_thresholds": None,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": cancellation(None),
        "customer_account": None,
        "days_until_due": None,
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "ended_at": None,
        "invoice_settings": {
            "account_tax_ids": None,
            "custom_fields": None,
            "description": None,
            "footer": None,
            "issuer": {"type": "self"},
        },
        "latest_invoice": None,
        "managed_payments": None,
        "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None,
        "pause_collection": None,
        "payment_settings": payment_settings({}),
        "pending_invoice_item_interval": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "schedule": None,
        "transfer_data": None,
        "trial_end": None,
        "trial_settings": trial_settings({}),
        "trial_start": None,
    }


def cancellation(reason: str | None, given: Json | None = None) -> Json:
    """Return ``cancellation_details``; `given` holds the customer's comment and feedback."""
    said = given or {}
    return {
        "comment": said.get("comment") or None,
        "feedback": said.get("feedback") or None,
        "feedback_option": None,
        "reason": reason,
    }


def payment_settings(given: Json) -> Json:
    """Return ``payment_settings`` from the request's."""
    return {
        "payment_method_options": None,
        "payment_method_types": given.get("payment_method_types") or None,
        "save_default_payment_method": given.get("save_default_payment_method", "off"),
    }


def trial_settings(given: Json) -> Json:
    """Return ``trial_settings`` from the request's."""
    wanted = given.get("end_behavior", {}).get("missing_payment_method", "create_invoice")
    return {"end_behavior": {"billing_cycle_anchor": None, "missing_payment_method": wanted}}


def item(now: int, subscription_id: str, price: Json, fields: Json) -> Json:
    """Return an item; `fields` holds quantity, metadata and the current period."""
    body: Json = {
        "id": new_id("si", 14),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": now,
        "current_trial": None,
        "discounts": [],
        "metadata": {},
        "plan": plan(price),
        "price": price,
        "subscription": subscription_id,
        "tax_rates": [],
    }
    return body | fields


def plan(price: Json) -> Json:
    """Return the older form of a recurring price, which items still carry."""
    recurring = price["recurring"]
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": price["billing_scheme"],
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "livemode": False,
        "metadata": price["metadata"],
        "meter": recurring["meter"],
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": recurring["trial_period_days"],
        "usage_type": recurring["usage_type"],
    }

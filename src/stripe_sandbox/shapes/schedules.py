"""Bodies of subscription schedules and their phases. Leaves their life to ``billing.schedules``."""

from stripe_sandbox.ids import new_id
from stripe_sandbox.kinds import Json


def schedule(now: int, subscription: Json, metadata: Json) -> Json:
    """Return an active schedule whose one phase is the subscription as it is."""
    first = current(subscription)
    mode = subscription["billing_mode"]
    return {
        "id": new_id("sub_sched"),
        "object": "subscription_schedule",
        "application": None,
        "billing_mode": {"flexible": mode["flexible"], "type": mode["type"]},
        "canceled_at": None,
        "completed_at": None,
        "created": now,
        "current_phase": {"end_date": first["end_date"], "start_date": first["start_date"]},
        "customer": subscription["customer"],
        "customer_account": None,
        "default_settings": _defaults(subscription),
        "end_behavior": "release",
        "livemode": False,
        "metadata": metadata,
        "pause_schedules": [],
        "phases": [first],
        "released_at": None,
        "released_subscription": None,
        "status": "active",
        "subscription": subscription["id"],
        "test_clock": subscription["test_clock"],
    }


def current(subscription: Json) -> Json:
    """Return the phase that a subscription is in: its period, with what is billed for it."""
    items = subscription["items"]["data"]
    taken = [{"coupon": None, "discount": one, "promotion_code": None} for one in subscription["discounts"]]
    return phase(
        {
            "automatic_tax": dict(subscription["automatic_tax"]),
            "currency": subscription["currency"],
            "default_payment_method": subscription["default_payment_method"],
            "discounts": taken,
            "end_date": items[0]["current_period_end"],
            "items": [item(one["price"], one["quantity"]) for one in items],
            "start_date": items[0]["current_period_start"],
            "trial_end": subscription["trial_end"] if subscription["status"] == "trialing" else None,
        }
    )


def phase(fields: Json) -> Json:
    """Return a phase; `fields` holds its currency, dates, items, discounts and tax."""
    body: Json = {
        "add_invoice_items": [],
        "application_fee_percent": None,
        "billing_cycle_anchor": None,
        "billing_thresholds": None,
        "collection_method": None,
        "default_payment_method": None,
        "default_tax_rates": [],
        "description": None,
        "invoice_settings": None,
        "metadata": {},
        "on_behalf_of": None,
        "proration_behavior": "create_prorations",
        "transfer_data": None,
        "trial_end": None,
    }
    return body | fields


def item(price: Json, quantity: int) -> Json:
    """Return what a phase bills of a price; a plan has the price's id."""
    return {
        "billing_thresholds": None,
        "discounts": [],
        "metadata": {},
        "plan": price["id"],
        "price": price["id"],
        "quantity": quantity,
        "tax_rates": [],
    }


def _defaults(subscription: Json) -> Json:
    return {
        "application_fee_percent": None,
        "automatic_tax": dict(subscription["automatic_tax"]),
        "billing_cycle_anchor": "automatic",
        "billing_thresholds": None,
        "collection_method": subscription["collection_method"],
        "default_payment_method": None,
        "description": None,
        "invoice_settings": {
            "account_tax_ids": None,
            "custom_fields": None,
            "days_until_due": None,
            "description": None,
            "footer": None,
            "issuer": {"type": "self"},
        },
        "on_behalf_of": None,
        "transfer_data": None,
    }

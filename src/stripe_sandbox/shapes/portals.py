"""Bodies of customer portal sessions and configurations. Leaves the page to ``hosted.portal``."""

from stripe_sandbox.ids import new_id, random_text
from stripe_sandbox.kinds import Json


def session(now: int, customer_id: str, fields: Json, *, base_url: str) -> Json:
    """Return a portal session; `fields` holds its configuration and return address."""
    secret = random_text(40)
    body: Json = {
        "id": new_id("bps"),
        "object": "billing_portal.session",
        "created": now,
        "customer": customer_id,
        "customer_account": None,
        "flow": None,
        "livemode": False,
        "locale": None,
        "on_behalf_of": None,
        "return_url": None,
        "url": f"{base_url}/p/session/test_{secret}",
    }
    return body | fields


def configuration(now: int, features: Json, fields: Json) -> Json:
    """Return a configuration; `features` is what the request names, the rest has defaults."""
    body: Json = {
        "id": new_id("bpc"),
        "object": "billing_portal.configuration",
        "active": True,
        "application": None,
        "business_profile": {"headline": None, "privacy_policy_url": None, "terms_of_service_url": None},
        "created": now,
        "default_return_url": None,
        "features": merged(DEFAULTS, features),
        "is_default": False,
        "livemode": False,
        "login_page": {"enabled": False, "url": None},
        "metadata": {},
        "name": None,
        "updated": now,
    }
    return body | fields


def merged(old: Json, new: Json) -> Json:
    """Return features with what the request names put in place."""
    return {name: part | new.get(name, {}) for name, part in old.items()}


DEFAULTS: Json = {
    "customer_update": {"allowed_updates": ["email", "tax_id"], "enabled": False},
    "invoice_history": {"enabled": True},
    "payment_method_update": {"enabled": True, "payment_method_configuration": None},
    "subscription_cancel": {
        "cancellation_reason": {"enabled": False, "feedback_options": None, "options": []},
        "enabled": True,
        "mode": "at_period_end",
        "proration_behavior": "none",
    },
    "subscription_pause": {
        "duration": {"interval_options": [], "type": "interval_options"},
        "enabled": False,
    },
    "subscription_update": {
        "billing_cycle_anchor": None,
        "default_allowed_updates": [],
        "enabled": False,
        "products": None,
        "proration_behavior": "none",
        "schedule_at_period_end": {"conditions": []},
        "trial_update_behavior": "end_trial",
    },
}
"""What a portal offers unless a configuration says otherwise."""

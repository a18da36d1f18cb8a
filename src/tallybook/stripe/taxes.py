"""Whether Stripe Tax is set up, as its own settings say."""

from __future__ import annotations

from typing import Any

from tallybook.stripe.failures import patiently
from tallybook.stripe.gateway import StripeGateway


async def missing(gateway: StripeGateway) -> list[str]:
    """What is still to be said at Stripe before it can reckon taxes; nothing when it can."""
    found = await patiently("tax.settings.retrieve", gateway.v1.tax.settings.retrieve_async)
    raw: dict[str, Any] = found.to_dict()
    if raw["status"] == "active":
        return []
    pending = raw["status_details"].get("pending") or {}
    return list(pending.get("missing_fields") or ["head_office"])

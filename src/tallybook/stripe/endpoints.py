"""Webhook endpoints at Stripe, and what Stripe could not deliver to them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, cast

import stripe
from stripe.params import WebhookEndpointCreateParams, WebhookEndpointUpdateParams

from tallybook.domain.payments.reports import EndpointReport
from tallybook.stripe.failures import patiently
from tallybook.stripe.gateway import StripeGateway

_DEPLOYMENT = "tallybook_deployment"
_PAGE = 100


async def every(gateway: StripeGateway) -> list[EndpointReport]:
    """All endpoints of the account in this mode; Stripe allows 16."""
    page = await patiently(
        "webhook_endpoints.list",
        lambda: gateway.v1.webhook_endpoints.list_async({"limit": _PAGE}),
    )
    return [_report(found) for found in page.data]


async def create(
    gateway: StripeGateway, *, url: str, event_types: Sequence[str], deployment: str, idempotency_key: str
) -> tuple[str, str]:
    """A new endpoint of the version that we speak; gives its id and its signing secret, which is shown only now."""
    wanted: WebhookEndpointCreateParams = {
        "url": url,
        "enabled_events": list(cast("Any", event_types)),
        "api_version": cast("Any", gateway.api_version),
        "description": "Tallybook",
        "metadata": {_DEPLOYMENT: deployment},
    }
    made = await patiently(
        "webhook_endpoints.create",
        lambda: gateway.v1.webhook_endpoints.create_async(wanted, {"idempotency_key": idempotency_key}),
    )
    assert made.secret is not None, made.id
    return made.id, made.secret


async def send_types(gateway: StripeGateway, endpoint_id: str, event_types: Sequence[str]) -> None:
    """Have an endpoint send exactly these types of events, also if it was disabled."""
    wanted: WebhookEndpointUpdateParams = {
        "enabled_events": list(cast("Any", event_types)),
        "disabled": False,
    }
    await patiently(
        "webhook_endpoints.update",
        lambda: gateway.v1.webhook_endpoints.update_async(endpoint_id, wanted),
    )


async def undelivered(
    gateway: StripeGateway, *, since: datetime, until: datetime, types: Collection[str]
) -> list[str]:
    """Events of that time that some endpoint did not take yet, of these types, at most a hundred; newest first."""
    page = await patiently(
        "events.list",
        lambda: gateway.v1.events.list_async(
            {
                "delivery_success": False,
                "created": {"gte": int(since.timestamp()), "lt": int(until.timestamp())},
                "limit": _PAGE,
            }
        ),
    )
    return [found.id for found in page.data if found.type in types]


def _report(found: stripe.WebhookEndpoint) -> EndpointReport:
    raw: dict[str, Any] = found.to_dict()
    return EndpointReport(
        id=raw["id"],
        url=raw["url"],
        enabled=raw["status"] == "enabled",
        api_version=raw.get("api_version"),
        event_types=frozenset(raw["enabled_events"]),
        deployment=(raw.get("metadata") or {}).get(_DEPLOYMENT),
    )

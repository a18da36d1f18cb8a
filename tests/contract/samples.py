"""Small objects that conform to both type sources, for planting faults."""

import json

from contract.node_types import Json


def price() -> Json:
    """Return a price as a create call answers it."""
    return {
        "id": "price_1",
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "created": 1795232085,
        "currency": "usd",
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {"pack": "small"},
        "nickname": None,
        "product": "prod_1",
        "recurring": None,
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time",
        "unit_amount": 999,
        "unit_amount_decimal": "999",
    }


def product() -> Json:
    """Return a product without a price."""
    return {
        "id": "prod_1",
        "object": "product",
        "active": True,
        "created": 1795232085,
        "default_price": None,
        "description": None,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": {},
        "name": "Credits",
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "tax_details": None,
        "type": "service",
        "unit_label": None,
        "updated": 1795232085,
        "url": None,
    }


def event(event_type: str, body: Json) -> Json:
    """Return an event about `body`."""
    return {
        "id": "evt_1",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": 1795232085,
        "data": {"object": body},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": "req_1", "idempotency_key": None},
        "type": event_type,
    }


def page(*items: Json) -> Json:
    """Return a list of one page."""
    return {"object": "list", "data": list(items), "has_more": False, "url": "/v1/prices"}


def text(body: Json) -> str:
    """Return a body as it goes over the wire."""
    return json.dumps(body)

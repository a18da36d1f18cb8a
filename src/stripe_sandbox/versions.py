"""Answers in an older API version: what changed since, for the objects that the sandbox has.

Bodies are kept in the pinned version and turned back on the way out. Fields that were only
added since then stay: Stripe adds fields to all versions (docs.stripe.com/upgrades). Source: comparison of the
response classes of the ``stripe`` packages that pin these versions (8.11.1 and 16.1.0), and the
changelogs of 2024-04-10, basil (2025-03-31), clover (2025-09-30) and dahlia (2026-03-25). An answer follows the
version of its request, an event the version of its endpoint.
"""

from collections.abc import Callable
from typing import Any

from stripe_sandbox import events
from stripe_sandbox.call import Call
from stripe_sandbox.kinds import API_VERSION, Json
from stripe_sandbox.store import field_is

_PERIOD = ("current_period_end", "current_period_start")
SERVED = (API_VERSION, "2023-10-16", "2025-02-24.acacia", "2025-08-27.basil", "2026-02-25.clover")
"""The pinned version, and one of each shape that is still in use."""


def rendered(call: Call, body: Json, version: str) -> Json:
    """Return the body in the shapes of a served version; the given body is not changed."""
    assert version in SERVED, version
    return body if version == API_VERSION else _mapping(call, body, version)


def rendered_event(call: Call, event: Json, version: str | None) -> Json:
    """Return an event as an endpoint of a version gets it; what changed is told in the old shape too."""
    if version in (None, API_VERSION):
        return event
    assert version is not None
    body, data = event["data"]["object"], event["data"]
    after = rendered(call, body, version)
    turned: Json = {"object": after}
    if "previous_attributes" in data:
        before = rendered(call, _laid_over(body, data["previous_attributes"]), version)
        turned["previous_attributes"] = events.previous_attributes(before, after)
    return event | {"api_version": version, "data": turned}


def _laid_over(body: Json, previous: Json) -> Json:
    """Return the object as it was before an event."""
    changed = {
        name: _laid_over(body[name], value)
        if isinstance(value, dict) and "object" not in value and isinstance(body.get(name), dict)
        else value
        for name, value in previous.items()
    }
    return body | changed


def _mapping(call: Call, body: Json, version: str) -> Json:
    until, turn = _TURNS.get(str(body.get("object")), ("", None))
    old = {name: _value(call, value, version) for name, value in body.items()}
    return turn(call, old) if turn and version < until and not body.get("deleted") else old


def _value(call: Call, value: Any, version: str) -> Any:
    if isinstance(value, dict):
        return value if value.get("object") == "event" else _mapping(call, value, version)
    return [_value(call, item, version) for item in value] if isinstance(value, list) else value


def _payment(call: Call, body: Json) -> Json:
    """Until basil, intents and charges named the invoice that they pay."""
    intent_id = body["id"] if body["object"] == "payment_intent" else body["payment_intent"]
    paid = call.store.find("invoice_payment", [field_is("payment.payment_intent", intent_id or "")], limit=1)
    return body | {"invoice": paid[0]["invoice"] if paid else None}


def _session(_call: Call, body: Json) -> Json:
    """Until dahlia, the hosted page was called ``hosted``."""
    modes = {"hosted_page": "hosted", "embedded_page": "embedded", "elements": "custom"}
    return body | {"ui_mode": modes.get(body["ui_mode"], body["ui_mode"])}


def _invoice(call: Call, body: Json) -> Json:
    """Until basil, an invoice named its payment, and where it came from, in flat fields."""
    links = call.store.find("invoice_payment", [field_is("invoice", body.get("id", ""))], limit=1)
    intent_id = links[0]["payment"]["payment_intent"] if links else None
    intent = call.store.get(intent_id, "payment_intent") if intent_id else None
    parent = body["parent"]["subscription_details"] if body["parent"] else None
    gone = ("amount_overpaid", "parent", "payments", "confirmation_secret", "total_taxes")
    kept = {name: value for name, value in body.items() if name not in gone}
    return kept | {
        "application_fee_amount": None,
        "charge": intent["latest_charge"] if intent else None,
        "discount": None,
        "paid": body["status"] == "paid",
        "paid_out_of_band": False,
        "payment_intent": intent_id,
        "quote": None,
        "subscription": parent["subscription"] if parent else None,
        "subscription_details": {"metadata": parent["metadata"]} if parent else None,
        "tax": sum(row["amount"] for row in body["total_taxes"]) or None,
        "total_tax_amounts": [],
        "transfer_data": None,
    }


def _invoice_line(call: Call, body: Json) -> Json:
    """Until basil, a line carried the whole price and its kind in flat fields."""
    details = (body["pricing"] or {"price_details": {"price": ""}})["price_details"]
    parent = body["parent"]["subscription_item_details"] or body["parent"]["invoice_item_details"]
    item = parent.get("subscription_item")
    gone = ("parent", "pricing", "taxes", "quantity_decimal", "subtotal")
    kept = {name: value for name, value in body.items() if name not in gone}
    return (
        kept
        | {
            "invoice_item": parent["invoice_item"],
            "plan": None,
            "price": _whole(call, details["price"]),
            "proration": parent["proration"],
            "proration_details": {"credited_items": None},
            "tax_amounts": [],
            "tax_rates": [],
            "type": "subscription" if item and not parent["invoice_item"] else "invoiceitem",
        }
        | ({"subscription_item": item} if item else {})
    )


def _whole(call: Call, named: Any) -> Json | None:
    """Return the object behind an id; one that is expanded as it is."""
    return named if isinstance(named, dict) else call.store.get(str(named))


def _subscription(_call: Call, body: Json) -> Json:
    """Until basil, all items shared one period, and it stood on the subscription."""
    items = [dict(item) for item in body["items"]["data"]]
    period = {name: items[0][name] for name in _PERIOD}
    for item in items:
        for name in _PERIOD:
            del item[name]
    return body | period | {"discount": None, "items": body["items"] | {"data": items}}


def _discount(call: Call, body: Json) -> Json:
    """Until clover, a discount held its coupon directly."""
    kept = {name: value for name, value in body.items() if name != "source"}
    return kept | {"coupon": _whole(call, body["source"]["coupon"])}


def _promotion_code(call: Call, body: Json) -> Json:
    """Until clover, a promotion code held its coupon directly."""
    kept = {name: value for name, value in body.items() if name != "promotion"}
    return kept | {"coupon": _whole(call, body["promotion"]["coupon"])}


def _product(_call: Call, body: Json) -> Json:
    """Until 2024-04-10, marketing features were called features."""
    kept = {name: value for name, value in body.items() if name != "marketing_features"}
    return kept | {"features": body["marketing_features"]}


_FEATURES, _BASIL, _CLOVER, _DAHLIA = "2024-04-10", "2025-03-31", "2025-09-30", "2026-03-25"
_TURNS: dict[str, tuple[str, Callable[[Call, Json], Json]]] = {
    "charge": (_BASIL, _payment),
    "discount": (_CLOVER, _discount),
    "promotion_code": (_CLOVER, _promotion_code),
    "subscription": (_BASIL, _subscription),
    "checkout.session": (_DAHLIA, _session),
    "invoice": (_BASIL, _invoice),
    "line_item": (_BASIL, _invoice_line),
    "payment_intent": (_BASIL, _payment),
    "product": (_FEATURES, _product),
}
"""Until which version an object had another shape, and the turn back to it."""

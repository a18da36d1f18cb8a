"""``expand[]``: puts whole objects where a body has only their ids.

Source: docs.stripe.com/expand (four levels at most). Leaves bodies in the store untouched.
"""

from collections.abc import Callable, Sequence

from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json
from stripe_sandbox.store import field_is

_DEEPEST = 4
_MAY_BE_ABSENT = {("coupon", "applies_to")}
"""What an object shows only if it has it, also when it is asked for."""
_ENDED = ("canceled", "incomplete_expired")


def expanded(call: Call, body: Json, paths: Sequence[str]) -> Json:
    """Return the body with every path expanded; raises `ApiError` for one that cannot be."""
    for path in paths:
        parts = path.split(".")
        if len(parts) - (parts[0] == "data") > _DEEPEST:
            message = f"You cannot expand more than {_DEEPEST} levels of a property ({path})."
            raise ApiError(message, param="expand")
        _descend(call, body, parts, path)
    return body


def _descend(call: Call, node: Json, parts: Sequence[str], path: str) -> None:
    name, rest = parts[0], parts[1:]
    if name not in node and (node.get("object"), name) in _MAY_BE_ABSENT:
        return
    if name not in node:
        node[name] = _computed(call, node, name, path)
    value = node[name]
    if isinstance(value, str):
        value = node[name] = _lookup(call, value, path)
    elif isinstance(value, list):
        value[:] = [_lookup(call, item, path) if isinstance(item, str) else item for item in value]
    elif value is not None and not isinstance(value, dict):
        raise _cannot(path)
    if not rest:
        return
    for child in value if isinstance(value, list) else [value]:
        if isinstance(child, dict):
            _descend(call, child, rest, path)


def _lookup(call: Call, object_id: str, path: str) -> Json:
    found = call.store.get(object_id)
    if found is None:
        raise _cannot(path)
    return found


def _computed(call: Call, node: Json, name: str, path: str) -> Json | None:
    make = _ON_DEMAND.get((str(node.get("object")), name))
    if make is None:
        raise _cannot(path)
    return make(call, node)


def _cannot(path: str) -> ApiError:
    return ApiError(
        f"This property cannot be expanded ({path}). You may want to try expanding a parent property.",
        param="expand",
    )


def _list(data: list[Json], url: str) -> Json:
    return {"object": "list", "data": data, "has_more": False, "url": url}


def _line_items(call: Call, node: Json) -> Json:
    items = call.store.private(node["id"])["line_items"]
    return _list(items, f"/v1/checkout/sessions/{node['id']}/line_items")


def _payments(call: Call, node: Json) -> Json:
    found = call.store.find("invoice_payment", [field_is("invoice", node["id"])])
    return _list(found, "/v1/invoice_payments")


def _confirmation_secret(call: Call, node: Json) -> Json | None:
    """Return what a page needs to pay an open invoice."""
    found = call.store.find("invoice_payment", [field_is("invoice", node["id"])], limit=1)
    if not found or node["status"] != "open":
        return None
    intent = call.need("payment_intent", found[0]["payment"]["payment_intent"])
    return {"client_secret": intent["client_secret"], "type": "payment_intent"}


def _subscriptions(call: Call, node: Json) -> Json:
    owner = [field_is("customer", node["id"])]
    found = [one for one in call.store.find("subscription", owner) if one["status"] not in _ENDED]
    return _list(found, f"/v1/customers/{node['id']}/subscriptions")


def _refunds(call: Call, node: Json) -> Json:
    found = call.store.find("refund", [field_is("charge", node["id"])])
    return _list(found, f"/v1/charges/{node['id']}/refunds")


def _empty(name: str) -> Callable[[Call, Json], Json]:
    def make(_call: Call, node: Json) -> Json:
        return _list([], f"/v1/customers/{node['id']}/{name}")

    return make


_ON_DEMAND: dict[tuple[str, str], Callable[[Call, Json], Json | None]] = {
    ("checkout.session", "line_items"): _line_items,
    ("invoice", "confirmation_secret"): _confirmation_secret,
    ("invoice", "payments"): _payments,
    ("charge", "refunds"): _refunds,
    ("customer", "sources"): _empty("sources"),
    ("customer", "subscriptions"): _subscriptions,
    ("customer", "tax_ids"): _empty("tax_ids"),
}

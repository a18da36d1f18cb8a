"""``/v1/subscription_items``: the same changes as through the subscription, one item at a time."""

from stripe_sandbox.api import lists, subscriptions, terms
from stripe_sandbox.api.routes import LIST, endpoint
from stripe_sandbox.billing import changing
from stripe_sandbox.call import Call
from stripe_sandbox.errors import missing
from stripe_sandbox.kinds import Json

_URL = "/v1/subscription_items"
_CHANGE = ("metadata", "price", "price_data", "quantity")
_HOW = ("payment_behavior", "proration_behavior", "proration_date", "off_session")
_STUB = "deleted"


@endpoint("POST", _URL, *_CHANGE, *_HOW, "subscription")
def create(call: Call) -> Json:
    """Add an item to a subscription."""
    before = call.need("subscription", call.params["subscription"], param="subscription")
    known = {item["id"] for item in before["items"]["data"]}
    after = _changed(call, before, {})
    return next(item for item in after["items"]["data"] if item["id"] not in known)


@endpoint("GET", _URL, *LIST, "subscription")
def list_all(call: Call) -> Json:
    """List the items of a subscription."""
    found = call.need("subscription", call.params["subscription"], param="subscription")
    return lists.slice_of(call, found["items"]["data"], _URL)


@endpoint("GET", _URL + "/{}")
def retrieve(call: Call) -> Json:
    """Return an item."""
    return _item(call, _owner(call))


@endpoint("POST", _URL + "/{}", *_CHANGE, *_HOW)
def update(call: Call) -> Json:
    """Change an item."""
    before = _owner(call)
    return _item(call, _changed(call, before, {"id": call.id}))


@endpoint("DELETE", _URL + "/{}", *_HOW, "clear_usage")
def delete(call: Call) -> Json:
    """Take an item off its subscription."""
    before = _owner(call)
    _changed(call, before, {"id": call.id, _STUB: True})
    return {"id": call.id, "object": "subscription_item", "deleted": True}


def _owner(call: Call) -> Json:
    known = call.store.get(call.id, "sandbox.item")
    if known is None:
        raise missing("subscription_item", call.id)
    return call.need("subscription", known["subscription"])


def _item(call: Call, subscription: Json) -> Json:
    for item in subscription["items"]["data"]:
        if item["id"] == call.id:
            return dict(item)
    raise missing("subscription_item", call.id)


def _changed(call: Call, before: Json, named: Json) -> Json:
    given = named | {name: call.params[name] for name in _CHANGE if name in call.params}
    how = {name: call.params[name] for name in _HOW if name in call.params}
    items = terms.changed_items(call, before, [given], "item")
    wish = subscriptions.wish_of(call, before, how)
    return changing.change(
        call,
        before,
        changing.Wish(wish.fields, items, wish.prorates, wish.at, behavior=wish.behavior),
    )

"""``/v1/subscriptions``. Leaves reading terms to ``terms`` and the life of a subscription to ``billing``."""

from dataclasses import replace

from stripe_sandbox.api import lists, terms
from stripe_sandbox.api.routes import LIST, endpoint
from stripe_sandbox.billing import changing, discounts, standing, subscriptions
from stripe_sandbox.billing.changing import Wish
from stripe_sandbox.billing.subscriptions import Terms
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError, only, unsupported
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import subscriptions as shapes
from stripe_sandbox.store import Where, field_is

_URL = "/v1/subscriptions"
_BILLING = ("payment_behavior", "proration_behavior", "trial_end", "off_session", "discounts", "items")


@endpoint(
    "POST",
    _URL,
    *terms.FIELDS,
    *_BILLING,
    "customer",
    "currency",
    "trial_period_days",
    "trial_from_plan",
    "billing_cycle_anchor",
    "billing_mode",
    "add_invoice_items",
)
def create(call: Call) -> Json:
    """Subscribe a customer, and take the first payment as ``payment_behavior`` says."""
    params = call.params
    customer = call.need("customer", params["customer"], param="customer")
    items = terms.wanted(call, params.get("items", []))
    if not items:
        message = "Missing required param: items."
        raise ApiError(message, code="parameter_missing", param="items")
    behavior = params.get("payment_behavior", "allow_incomplete")
    if behavior == "pending_if_incomplete":
        raise unsupported("payment_behavior")
    fields = terms.fields(call, customer["id"])
    mode = params.get("billing_mode", {"type": "flexible"})["type"]
    flexible = {"proration_discounts": "included"} if mode == "flexible" else None
    fields["billing_mode"] = {"flexible": flexible, "type": mode}
    anchor = params.get("billing_cycle_anchor")
    if anchor is not None and anchor <= call.now:
        message = "billing_cycle_anchor must be in the future."
        raise ApiError(message, param="billing_cycle_anchor")
    wish = Terms(
        items=items,
        fields=fields,
        discounts=terms.discount_sources(call),
        trial_end=terms.trial_end(call, params, items),
        anchor=anchor,
        prorates=params.get("proration_behavior", "create_prorations") != "none",
        behavior=behavior,
        extra=terms.extra_lines(call, params.get("add_invoice_items", [])),
    )
    return subscriptions.start(call, customer, wish)


@endpoint(
    "GET",
    _URL,
    *LIST,
    "customer",
    "status",
    "price",
    "collection_method",
    "current_period_end",
    "current_period_start",
    "test_clock",
)
def list_all(call: Call) -> Json:
    """List subscriptions; canceled ones only if asked for."""
    where = lists.matching(call, "customer", "collection_method", "test_clock")
    status = call.params.get("status")
    if status is None:
        where.append(Where("json_extract(body, '$.status') NOT IN ('canceled', 'incomplete_expired')"))
    elif status == "ended":
        where.append(field_is("status", *sorted(standing.ENDED)))
    elif status != "all":
        where.append(field_is("status", status))
    if "price" in call.params:
        inside = "EXISTS (SELECT 1 FROM json_each(body, '$.items.data') WHERE json_extract(value, '$.price.id') = ?)"
        where.append(Where(inside, (call.params["price"],)))
    for name in ("current_period_start", "current_period_end"):
        where += lists.within(call, name, f"json_extract(body, '$.items.data[0].{name}')")
    return lists.page(call, "subscription", _URL, where)


@endpoint("GET", _URL + "/{}")
def retrieve(call: Call) -> Json:
    """Return a subscription, also one that has ended."""
    return call.need("subscription", call.id)


@endpoint(
    "POST",
    _URL + "/{}",
    *terms.FIELDS,
    *_BILLING,
    "billing_cycle_anchor",
    "cancellation_details",
    "pause_collection",
    "proration_date",
    "add_invoice_items",
)
def update(call: Call) -> Json:
    """Change a subscription that has not ended."""
    before = call.need("subscription", call.id)
    if before["status"] in standing.ENDED:
        message = "A canceled subscription can only update its cancellation_details and metadata."
        raise ApiError(message)
    return changing.change(call, before, wish_of(call, before, call.params))


@endpoint("POST", _URL + "/{}/resume", "billing_cycle_anchor", "proration_behavior", "proration_date")
def resume(call: Call) -> Json:
    """Take up a subscription that was paused at the end of its trial."""
    return changing.resume(call, call.need("subscription", call.id))


@endpoint("DELETE", _URL + "/{}", "cancellation_details", "invoice_now", "prorate")
def cancel(call: Call) -> Json:
    """Cancel at once."""
    found = call.need("subscription", call.id)
    if found["status"] in standing.ENDED:
        message = f"No such subscription: '{call.id}'"
        raise ApiError(message, status=404, code="resource_missing", param="id")
    return changing.cancel(
        call,
        found,
        prorate=call.params.get("prorate", False),
        invoice_now=call.params.get("invoice_now", False),
        details=call.params.get("cancellation_details") or {},
    )


@endpoint("DELETE", _URL + "/{}/discount")
def delete_discount(call: Call) -> Json:
    """Take all discounts off a subscription."""
    before = call.need("subscription", call.id)
    for discount in before["discounts"]:
        call.emit("customer.discount.deleted", call.need("discount", discount))
    call.save(before | {"discounts": []}, standing.UPDATED, before)
    return {"id": (before["discounts"] or [""])[0], "object": "discount", "deleted": True}


def wish_of(call: Call, before: Json, params: Json) -> Wish:
    """Return the change that `params` ask for, whatever else the request has."""
    call = replace(call, params=params)
    behavior = params.get("payment_behavior", "allow_incomplete")
    if behavior == "pending_if_incomplete":
        raise unsupported("payment_behavior")
    if "add_invoice_items" in params:
        raise unsupported("add_invoice_items")
    fields = terms.fields(call, before["customer"], before)
    if "pause_collection" in params:
        fields["pause_collection"] = _pause(params["pause_collection"])
    if "cancellation_details" in params:
        reason = before["cancellation_details"]["reason"]
        fields["cancellation_details"] = shapes.cancellation(reason, params["cancellation_details"] or {})
    if "discounts" in params:
        owner = {"customer": before["customer"], "subscription": before["id"]}
        fields["discounts"] = discounts.redeem(call, terms.discount_sources(call), **owner)
    end = params.get("trial_end")
    items = terms.changed_items(call, before, params["items"]) if params.get("items") else None
    return Wish(
        fields=fields,
        items=items,
        prorates=params.get("proration_behavior", "create_prorations"),
        at=params.get("proration_date", call.now),
        trial_end=call.now if end == "now" else end,
        anchor_now=params.get("billing_cycle_anchor") == "now",
        behavior=behavior,
    )


def _pause(given: Json | str) -> Json | None:
    if not isinstance(given, dict):
        return None
    only(given, "pause_collection", "behavior", "resumes_at")
    return {"behavior": given["behavior"], "resumes_at": given.get("resumes_at") or None}

"""Reads what a subscription is to be from parameters; shared by subscriptions, items and previews.

Leaves what comes of it to ``billing``.
"""

from collections.abc import Sequence

from stripe_sandbox.api import changes, prices
from stripe_sandbox.billing import lines, pricing, taxing
from stripe_sandbox.billing.periods import DAY
from stripe_sandbox.billing.pricing import Wanted
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError, only, unsupported
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import lines as line_shapes
from stripe_sandbox.shapes import subscriptions as shapes

_ITEM = ("id", "price", "price_data", "quantity", "metadata", "deleted", "clear_usage")
FIELDS = (
    "automatic_tax",
    "cancel_at",
    "cancel_at_period_end",
    "collection_method",
    "days_until_due",
    "default_payment_method",
    "description",
    "metadata",
    "payment_settings",
    "trial_settings",
)
"""Parameters that creating and updating a subscription have in common."""


def fields(call: Call, customer_id: str, old: Json | None = None) -> Json:
    """Return the subscription's fields that the parameters set."""
    params = call.params
    found = changes.fields(params, "cancel_at", "days_until_due", "description")
    for name in ("cancel_at_period_end", "collection_method"):
        if name in params:
            found[name] = params[name]
    if isinstance(found.get("cancel_at"), str):
        raise unsupported("cancel_at")
    if "default_payment_method" in params:
        found["default_payment_method"] = _method(call, customer_id)
    if "automatic_tax" in params:
        enabled = bool(params["automatic_tax"]["enabled"])
        if enabled:
            taxing.need_set_up(call)
            taxing.need_place(call, customer_id)
        found["automatic_tax"] = {"disabled_reason": None, "enabled": enabled, "liability": None}
    if "payment_settings" in params:
        given = only(
            params["payment_settings"],
            "payment_settings",
            "payment_method_types",
            "payment_method_options",
            "save_default_payment_method",
        )
        found["payment_settings"] = shapes.payment_settings(given)
    if "trial_settings" in params:
        found["trial_settings"] = shapes.trial_settings(params["trial_settings"])
    found["metadata"] = changes.metadata(params.get("metadata"), old["metadata"] if old else None)
    sent = found.get("collection_method", (old or {}).get("collection_method")) == "send_invoice"
    if sent and found.get("days_until_due", (old or {}).get("days_until_due")) is None:
        message = "`days_until_due` is required when `collection_method` is `send_invoice`."
        raise ApiError(message, code="parameter_missing", param="days_until_due")
    return found


def wanted(call: Call, given: Sequence[Json], *, param: str = "items") -> list[Wanted]:
    """Return what is to be subscribed to."""
    return [_wanted(call, one, f"{param}[{place}]") for place, one in enumerate(given)]


def trial_end(call: Call, params: Json, items: Sequence[Wanted]) -> int | None:
    """Return when the trial ends; ``None`` without one."""
    days = params.get("trial_period_days")
    if days is None and params.get("trial_from_plan") and items:
        days = items[0].price["recurring"]["trial_period_days"]
    given = params.get("trial_end")
    if given in (None, "") and not days:
        return None
    if given == "now":
        return None
    until = int(given) if given not in (None, "") else call.now + int(days or 0) * DAY
    if until <= call.now:
        message = "The `trial_end` must be in the future, or `now`."
        raise ApiError(message, param="trial_end")
    return until


def changed_items(call: Call, subscription: Json, given: Sequence[Json], param: str = "items") -> list[Json]:
    """Return all items of a subscription after a change; items that are not named stay."""
    after = {item["id"]: item for item in subscription["items"]["data"]}
    start, end = _period(subscription)
    for place, one in enumerate(given):
        where = f"{param}[{place}]"
        only(one, where, *_ITEM)
        if "id" not in one:
            new = pricing.item(call, subscription["id"], _wanted(call, one, where), start, end)
            after[new["id"]] = new
        elif one["id"] not in after:
            message = f"No such subscription_item: '{one['id']}'"
            raise ApiError(message, code="resource_missing", param=f"{where}[id]")
        elif one.get("deleted"):
            del after[one["id"]]
        else:
            after[one["id"]] = _altered(call, after[one["id"]], one, where)
    return list(after.values())


def extra_lines(call: Call, given: Sequence[Json]) -> list[Json]:
    """Return the lines of one-time prices that are billed beside the items."""
    return [_extra(call, one, f"add_invoice_items[{place}]") for place, one in enumerate(given)]


def discount_sources(call: Call) -> list[Json]:
    """Return the coupons and codes that the parameters name."""
    given = call.params.get("discounts") or []
    for place, one in enumerate(given):
        only(one, f"discounts[{place}]", "coupon", "promotion_code")
    return list(given)


def _period(subscription: Json) -> tuple[int, int]:
    item = subscription["items"]["data"][0]
    return item["current_period_start"], item["current_period_end"]


def _wanted(call: Call, given: Json, param: str) -> Wanted:
    only(given, param, *_ITEM)
    price = _price(call, given, param)
    if price is None:
        message = f"Missing required param: {param}[price]."
        raise ApiError(message, code="parameter_missing", param=f"{param}[price]")
    return Wanted(price, _quantity(given, 1, param), changes.metadata(given.get("metadata")))


def _price(call: Call, given: Json, param: str) -> Json | None:
    if "price_data" in given:
        data = given["price_data"]
        call.need("product", data["product"], param=f"{param}[price_data][product]")
        made = prices.new(call, data["product"], data, listed=False)
        return pricing.need_recurring(made, param=f"{param}[price_data]")
    if not given.get("price"):
        return None
    return pricing.recurring(call, given["price"], param=f"{param}[price]")


def _quantity(given: Json, default: int, param: str) -> int:
    quantity = int(given.get("quantity", default))
    if quantity < 1:
        message = "The sandbox bills quantities of at least 1."
        raise ApiError(message, code="parameter_invalid_integer", param=f"{param}[quantity]")
    return quantity


def _altered(call: Call, item: Json, given: Json, param: str) -> Json:
    price = _price(call, given, param) or item["price"]
    return item | {
        "metadata": changes.metadata(given.get("metadata"), item["metadata"]),
        "plan": shapes.plan(price),
        "price": price,
        "quantity": _quantity(given, item["quantity"], param),
    }


def _extra(call: Call, given: Json, param: str) -> Json:
    only(given, param, "price", "quantity", "metadata")
    price = call.need("price", given.get("price", ""), param=f"{param}[price]")
    name = call.need("product", price["product"])["name"]
    quantity = _quantity(given, 1, param)
    item = line_shapes.invoice_item(call.now, {"id": "", "test_clock": None}, {"amount": 0})
    return line_shapes.line(
        lines.DRAFT,
        {
            "amount": price["unit_amount"] * quantity,
            "currency": price["currency"],
            "description": name,
            "metadata": changes.metadata(given.get("metadata")),
            "parent": line_shapes.of_invoice_item(item),
            "period": {"end": call.now, "start": call.now},
            "pricing": line_shapes.pricing(price),
            "quantity": quantity,
        },
    )


def _method(call: Call, customer_id: str) -> str | None:
    name = call.params["default_payment_method"]
    if not name:
        return None
    method = call.need("payment_method", name, param="default_payment_method", noun="PaymentMethod")
    if method["customer"] != customer_id:
        message = f"The customer does not have a payment method with the ID {name}."
        raise ApiError(message, code="resource_missing", param="default_payment_method")
    return str(method["id"])

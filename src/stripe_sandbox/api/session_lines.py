"""Reads what a checkout session sells: lines of prices.

Leaves the session itself to ``checkout_sessions``, and what it comes to, to ``reckoning``.
"""

from stripe_sandbox.api import changes, prices
from stripe_sandbox.billing import pricing
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError, unsupported
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import checkout as shapes


def read(call: Call, *, trial: bool) -> list[Json]:
    """Return the lines that the parameters ask for; `trial` makes what recurs free for now."""
    mode = call.params["mode"]
    lines = [_line(call, place, line, mode) for place, line in enumerate(call.params["line_items"])]
    if len({line["currency"] for line in lines}) > 1:
        message = "All prices on a Checkout Session must be in the same currency."
        raise ApiError(message, param="line_items")
    recurring = [line["price"] for line in lines if line["price"]["recurring"]]
    if mode == "subscription":
        pricing.check_together(recurring, param="line_items")
    for line in lines:
        if trial and line["price"]["recurring"]:
            line |= {"amount_subtotal": 0, "amount_total": 0}
    return lines


def _line(call: Call, place: int, given: Json, mode: str) -> Json:
    param = f"line_items[{place}]"
    if ("price" in given) == ("price_data" in given):
        message = f"You must specify either `{param}[price]` or `{param}[price_data]`."
        raise ApiError(message, code="parameter_missing", param=f"{param}[price]")
    quantity = given.get("quantity")
    if quantity is None or quantity < 1:
        message = "Quantity is required. Add `quantity` of at least 1 to `line_items`."
        code = "parameter_missing" if quantity is None else "parameter_invalid_integer"
        raise ApiError(message, code=code, param=f"{param}[quantity]")
    if "price" in given:
        price = call.need("price", given["price"], param=f"{param}[price]")
        if not price["active"]:
            message = "The price specified is inactive. This field only accepts active prices."
            raise ApiError(message, param=f"{param}[price]")
    else:
        price = _inline_price(call, given["price_data"], param)
    for name in ("tax_rates", "adjustable_quantity"):
        if name in given:
            raise unsupported(f"{param}[{name}]")
    _check_price(price, mode, param)
    product = call.need("product", price["product"], param=f"{param}[price]")
    return shapes.line_item(
        price,
        description=product["name"],
        quantity=quantity,
        metadata=changes.metadata(given.get("metadata")),
    )


def _check_price(price: Json, mode: str, param: str) -> None:
    if price["recurring"] and mode == "payment":
        message = (
            "You specified `payment` mode but passed a recurring price. Either switch to "
            "`subscription` mode or use only one-time prices."
        )
        raise ApiError(message, param=param)
    if price["recurring"]:
        pricing.need_recurring(price, param=param)
    if price["unit_amount"] is None:
        message = "The sandbox sells prices in whole minor units only."
        raise ApiError(message, code="sandbox_unsupported", param=param)


def _inline_price(call: Call, given: Json, param: str) -> Json:
    if "product" in given:
        product = call.need("product", given["product"], param=f"{param}[price_data][product]")
    elif "product_data" in given:
        product = prices.new_product(call, given["product_data"] | {"active": False})
    else:
        message = f"Missing required param: {param}[price_data][product_data]."
        name = f"{param}[price_data][product_data]"
        raise ApiError(message, code="parameter_missing", param=name)
    return prices.new(call, product["id"], given, listed=False)

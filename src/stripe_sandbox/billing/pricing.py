"""Which prices a subscription may have, and the items made of them. Leaves amounts to ``lines``."""

from collections.abc import Sequence
from dataclasses import dataclass

from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import subscriptions as shapes


@dataclass(frozen=True)
class Wanted:
    """One thing to subscribe to."""

    price: Json
    quantity: int
    metadata: Json


def recurring(call: Call, price_id: str, *, param: str) -> Json:
    """Return an active recurring price; raises `ApiError` for any other."""
    price = call.need("price", price_id, param=param)
    if not price["active"]:
        message = "The price specified is inactive. This field only accepts active prices."
        raise ApiError(message, code="resource_missing", param=param)
    return need_recurring(price, param=param)


def need_recurring(price: Json, *, param: str) -> Json:
    """Return the price unless it is for one time or measured."""
    if price["recurring"] is None:
        message = (
            "The price specified is set to `type=one_time` but this field only accepts prices with "
            "`type=recurring`."
        )
        raise ApiError(message, param=param)
    if price["recurring"]["usage_type"] != "licensed" or price["unit_amount"] is None:
        message = "The sandbox bills licensed prices in whole minor units only."
        raise ApiError(message, code="sandbox_unsupported", param=param)
    return price


def check_together(prices: Sequence[Json], *, param: str) -> None:
    """Raise `ApiError` unless the prices share currency and interval and are all different."""
    if not prices:
        message = "A subscription must have at least one item."
        raise ApiError(message, code="parameter_missing", param=param)
    if len({price["currency"] for price in prices}) > 1:
        message = "All prices on a subscription must have the same currency."
        raise ApiError(message, param=param)
    if len({rhythm(price) for price in prices}) > 1:
        message = "The sandbox bills all items of a subscription in the same interval."
        raise ApiError(message, code="sandbox_unsupported", param=param)
    if len({price["id"] for price in prices}) < len(prices):
        message = "Cannot add multiple subscription items with the same price."
        raise ApiError(message, param=param)


def rhythm(price: Json) -> tuple[str, int]:
    """Return how often a price is billed."""
    return str(price["recurring"]["interval"]), int(price["recurring"]["interval_count"])


def item(call: Call, subscription_id: str, wanted: Wanted, start: int, end: int) -> Json:
    """Return a new item for a period."""
    return shapes.item(
        call.now,
        subscription_id,
        wanted.price,
        {
            "current_period_end": end,
            "current_period_start": start,
            "metadata": wanted.metadata,
            "quantity": wanted.quantity,
        },
    )


def amount(items: Sequence[Json]) -> int:
    """Return what items cost for a whole period, before discounts."""
    return sum(int(one["price"]["unit_amount"]) * int(one["quantity"]) for one in items)

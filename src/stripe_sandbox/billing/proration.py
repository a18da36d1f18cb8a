"""What a change in the middle of a period costs: credit for unused time, charge for the time that is left.

By the second, as Stripe does (docs.stripe.com/billing/subscriptions/prorations). Both are net of the
subscription's discounts, so later discounts leave them alone. Leaves billing them to ``changing``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from stripe_sandbox import money
from stripe_sandbox.billing import discounts, standing
from stripe_sandbox.call import Call
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import lines as shapes


@dataclass(frozen=True)
class Change:
    """One item before and after; ``None`` where there is none."""

    old: Json | None
    new: Json | None


def changes(old: Sequence[Json], new: Sequence[Json]) -> list[Change]:
    """Return the items whose price or quantity is another one."""
    after = {item["id"]: item for item in new}
    pairs = [Change(item, after.pop(item["id"], None)) for item in old]
    pairs += [Change(None, item) for item in after.values()]
    return [pair for pair in pairs if _cost(pair.old) != _cost(pair.new)]


def credit(call: Call, subscription: Json, items: Sequence[Json], at: int) -> list[Json]:
    """Write down the credit for what is left of the period of `items`."""
    return [_item(call, subscription, item, at, sign=-1) for item in items]


def book(call: Call, subscription: Json, changed: Sequence[Change], at: int) -> list[Json]:
    """Write down credit and charge for each change."""
    made = []
    for change in changed:
        if change.old is not None:
            made.append(_item(call, subscription, change.old, at, sign=-1))
        if change.new is not None:
            made.append(_item(call, subscription, change.new, at, sign=1))
    return made


def part(amount: int, seconds: int, whole: int) -> int:
    """Return the part of an amount for a part of its period, rounded half up."""
    return int(Fraction(amount * seconds, whole) + Fraction(1, 2)) if whole else amount


def _cost(item: Json | None) -> tuple[str, int] | None:
    return None if item is None else (item["price"]["id"], item["quantity"])


def _item(call: Call, subscription: Json, item: Json, at: int, *, sign: int) -> Json:
    words = "Unused time on" if sign < 0 else "Remaining time on"
    start, end = standing.period_of(subscription)
    gross = item["price"]["unit_amount"] * item["quantity"]
    for _id, coupon in discounts.coupons(call, subscription["discounts"]):
        gross -= discounts.shares(coupon, [gross])[0]
    amount = sign * part(gross, max(0, end - at), end - start)
    name = call.need("product", item["price"]["product"])["name"]
    customer = call.need("customer", subscription["customer"])
    many = f"{item['quantity']} \u00d7 " if item["quantity"] > 1 else ""
    body = shapes.invoice_item(
        call.now,
        customer,
        {
            "amount": amount,
            "currency": subscription["currency"],
            "description": f"{words} {many}{name} after {money.day(at)}",
            "discountable": False,
            "parent": shapes.of_subscription(subscription["id"], item["id"]),
            "period": {"end": end, "start": at},
            "pricing": shapes.pricing(item["price"]),
            "proration": True,
            "proration_details": {"credited_items": None, "discount_amounts": []},
            "quantity": item["quantity"],
        },
    )
    return call.add(body, "invoiceitem.created")

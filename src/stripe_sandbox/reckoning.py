"""What a checkout session comes to: its lines with discounts and the sandbox's tax, and their sums.

Leaves reading the lines to ``api.session_lines``.
"""

from collections.abc import Sequence

from stripe_sandbox import money
from stripe_sandbox.billing import discounts, taxing
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json

_SMALLEST = {"usd": 50, "eur": 50, "gbp": 30, "jpy": 50, "cad": 50, "aud": 50, "chf": 50}
"""Smallest charge in minor units: docs.stripe.com/currencies#minimum-and-maximum-charge-amounts."""


def reckoned(
    call: Call,
    lines: Sequence[Json],
    sources: Sequence[Json],
    *,
    customer: str | None,
    place: taxing.Place,
) -> list[Json]:
    """Return the lines with discounts and the tax of `place`, from their subtotals."""
    after = [line | {"amount_discount": 0, "amount_tax": 0} for line in lines]
    for source in sources:
        coupon, code = discounts.coupon_of(call, source, customer)
        _check_currency(coupon, after[0]["currency"])
        _check_minimum(code, sum(line["amount_subtotal"] for line in after))
        products = coupon.get("applies_to", {}).get("products")
        left = [
            line["amount_subtotal"] - line["amount_discount"]
            if not products or line["price"]["product"] in products
            else 0
            for line in after
        ]
        for line, share in zip(after, discounts.shares(coupon, left), strict=True):
            line["amount_discount"] += share
    for line in after:
        net = line["amount_subtotal"] - line["amount_discount"]
        tax = taxing.of(call, net, line["price"], line["currency"], place)
        line["amount_tax"] = tax["amount"] if tax else 0
        line["amount_total"] = net + (tax["amount"] if tax and tax["tax_behavior"] == "exclusive" else 0)
    return after


def sums(lines: Sequence[Json]) -> Json:
    """Return the amounts of a session with these lines; raises `ApiError` if too small to be charged."""
    currency = lines[0]["currency"]
    total = sum(line["amount_total"] for line in lines)
    smallest = _SMALLEST.get(currency, 1)
    if 0 < total < smallest:
        message = (
            "The Checkout Session's total amount due must add up to at least "
            f"{smallest} {currency} in minor units."
        )
        raise ApiError(message, code="amount_too_small")
    if not money.in_tens(total, currency):
        message = (
            f"Amounts in {currency} must be divisible by 10: the last of their three decimals is always zero."
        )
        raise ApiError(message, code="parameter_invalid_integer", param="line_items")
    return {
        "amount_subtotal": sum(line["amount_subtotal"] for line in lines),
        "amount_total": total,
        "total_details": {
            "amount_discount": sum(line["amount_discount"] for line in lines),
            "amount_shipping": 0,
            "amount_tax": sum(line["amount_tax"] for line in lines),
        },
    }


def shown(call: Call, sources: Sequence[Json], customer: str | None) -> list[Json]:
    """Return a session's ``discounts``."""
    found = [discounts.coupon_of(call, source, customer) for source in sources]
    return [
        {"coupon": None if code else coupon["id"], "promotion_code": code["id"] if code else None}
        for coupon, code in found
    ]


def _check_minimum(code: Json | None, subtotal: int) -> None:
    minimum = code["restrictions"]["minimum_amount"] if code else None
    if minimum is not None and subtotal < minimum:
        message = f"This promotion code is for orders of at least {minimum} in minor units."
        raise ApiError(message, code="promotion_code_invalid", param="discounts")


def _check_currency(coupon: Json, currency: str) -> None:
    if coupon["currency"] not in (None, currency):
        message = f"The coupon is in {coupon['currency']} and the prices are in {currency}."
        raise ApiError(message, param="discounts")

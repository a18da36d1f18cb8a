"""Coupons at work: redeeming one for a customer's purchase, and how much it takes off each line.

Source: docs.stripe.com/billing/subscriptions/coupons. Leaves ``/v1/coupons`` and codes to ``api``.
"""

from collections.abc import Sequence
from fractions import Fraction

from stripe_sandbox.billing import periods
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.ids import new_id
from stripe_sandbox.kinds import Json
from stripe_sandbox.store import field_is


def redeem(call: Call, sources: Sequence[Json], **owner: str | None) -> list[str]:
    """Redeem coupons and codes for `owner` (customer, subscription …); returns the ids of the discounts."""
    return [_redeemed(call, source, owner)["id"] for source in sources]


def coupon_of(call: Call, source: Json, customer_id: str | None) -> tuple[Json, Json | None]:
    """Return the coupon behind a source and its promotion code; raises `ApiError` if it cannot be used."""
    code = None
    if source.get("promotion_code"):
        code = call.need("promotion_code", source["promotion_code"], param="discounts[0][promotion_code]")
        _check_code(call, code, customer_id)
    wanted = code["promotion"]["coupon"] if code else source.get("coupon")
    if not wanted:
        message = "You must pass a coupon or a promotion_code."
        raise ApiError(message, code="parameter_missing", param="discounts[0]")
    coupon = call.need("coupon", wanted, param="discounts[0][coupon]")
    if not is_valid(call, coupon):
        message = f"Coupon expired: {coupon['id']}"
        raise ApiError(message, code="coupon_expired", param="discounts[0][coupon]")
    return coupon, code


def by_code(call: Call, text: str) -> Json:
    """Return the source for a code that a buyer typed."""
    for found in call.store.find("promotion_code"):
        if found["code"].lower() == text.strip().lower() and found["active"]:
            return {"promotion_code": found["id"]}
    message = "This code is invalid."
    raise ApiError(message, code="promotion_code_invalid", param="promotion_code")


def is_valid(call: Call, coupon: Json) -> bool:
    """Tell whether a coupon can still be redeemed."""
    left = coupon["max_redemptions"] is None or coupon["times_redeemed"] < coupon["max_redemptions"]
    return left and (coupon["redeem_by"] is None or call.now <= coupon["redeem_by"])


def coupons(call: Call, discount_ids: Sequence[str]) -> list[tuple[str, Json]]:
    """Return each living discount with its coupon."""
    found = [(one, call.need("discount", one)) for one in discount_ids]
    return [(one, _coupon(call, discount["source"]["coupon"])) for one, discount in found]


def shares(coupon: Json, amounts: Sequence[int]) -> list[int]:
    """Return how much a coupon takes off each amount, in minor units; nothing off what is below zero."""
    bases = [max(0, amount) for amount in amounts]
    if coupon["percent_off"] is not None:
        percent = Fraction(str(coupon["percent_off"]))
        return [_half_up(base * percent / 100) for base in bases]
    total = sum(bases)
    off = min(int(coupon["amount_off"]), total)
    taken, reached, parts = 0, 0, []
    for base in bases:
        reached += base
        part = off * reached // total - taken if total else 0
        parts.append(part)
        taken += part
    return parts


def over(call: Call, discount: Json) -> bool:
    """Tell whether a discount has run out at the time of the call."""
    return discount["end"] is not None and discount["end"] <= call.now


def _coupon(call: Call, coupon_id: str) -> Json:
    """Return a coupon as it was redeemed, though it may be deleted since."""
    coupon = call.store.get(coupon_id, "coupon")
    assert coupon is not None, coupon_id
    return dict(call.store.private(coupon_id)["was"]) if coupon.get("deleted") else coupon


def _half_up(value: Fraction) -> int:
    return int(value + Fraction(1, 2))


def _check_code(call: Call, code: Json, customer_id: str | None) -> None:
    used = code["max_redemptions"] is not None and code["times_redeemed"] >= code["max_redemptions"]
    late = code["expires_at"] is not None and code["expires_at"] < call.now
    foreign = code["customer"] is not None and code["customer"] != customer_id
    if not code["active"] or used or late or foreign:
        message = "This promotion code cannot be redeemed."
        raise ApiError(message, code="promotion_code_invalid", param="discounts[0][promotion_code]")
    if code["restrictions"]["first_time_transaction"] and customer_id:
        paid = [field_is("customer", customer_id), field_is("status", "succeeded")]
        if call.store.find("charge", paid, limit=1):
            message = (
                "This promotion code is for first-time orders only; this customer has prior transactions."
            )
            raise ApiError(message, code="promotion_code_invalid", param="discounts[0][promotion_code]")


def _redeemed(call: Call, source: Json, owner: dict[str, str | None]) -> Json:
    coupon, code = coupon_of(call, source, owner.get("customer"))
    for body in (coupon, code):
        if body is not None:
            call.save(body | {"times_redeemed": body["times_redeemed"] + 1})
    until = None
    if coupon["duration"] == "repeating":
        until = periods.add(call.now, "month", coupon["duration_in_months"])
    discount: Json = {
        "id": new_id("di"),
        "object": "discount",
        "checkout_session": None,
        "customer": None,
        "customer_account": None,
        "end": until,
        "invoice": None,
        "invoice_item": None,
        "promotion_code": code["id"] if code else None,
        "source": {"coupon": coupon["id"], "type": "coupon"},
        "start": call.now,
        "subscription": None,
        "subscription_item": None,
    }
    return call.add(discount | owner)

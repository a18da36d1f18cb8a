"""Adds up an invoice: lines, discounts, the sandbox's simple tax, the customer's balance.

Tax is one rate for everything (control desk, ``tax_percent``), on top, where ``automatic_tax`` is enabled;
without a rate it is zero. All amounts are minor units. Leaves which lines there are to ``lines``.
"""

from fractions import Fraction

from stripe_sandbox.billing import discounts
from stripe_sandbox.call import Call
from stripe_sandbox.kinds import Json

TAX_PERCENT = "tax_percent"
"""The setting that holds the rate, as a decimal text."""


def computed(call: Call, invoice: Json) -> Json:
    """Return an unpaid invoice with every sum made anew from its lines."""
    lines = invoice["lines"]["data"]
    parts = [dict(line) | {"discount_amounts": [], "taxes": []} for line in lines]
    taken = [_discounted(parts, one, coupon) for one, coupon in discounts.coupons(call, invoice["discounts"])]
    tax: int = sum(_taxed(call, invoice, part) for part in parts)
    subtotal: int = sum(part["amount"] for part in parts)
    off = sum(one["amount"] for one in taken)
    total = subtotal - off + tax
    return invoice | {
        "lines": invoice["lines"] | {"data": parts},
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal,
        "total_discount_amounts": taken,
        "total_taxes": [_tax_row(tax, subtotal - off)] if tax else [],
        "total": total,
        "total_excluding_tax": total - tax,
        **due(total, invoice["starting_balance"]),
    }


def due(total: int, balance: int) -> Json:
    """Return what is to be paid; a balance below zero is the customer's credit."""
    amount = max(0, total + balance)
    return {"amount_due": amount, "amount_paid": 0, "amount_remaining": amount}


def balance_after(total: int, balance: int) -> int:
    """Return the customer's balance once the invoice is finalised."""
    return min(0, total + balance)


def tax_of(call: Call, amount: int, *, enabled: bool) -> int:
    """Return the sandbox's tax on an amount."""
    rate = Fraction(call.store.setting(TAX_PERCENT) or "0")
    if not (enabled and rate and amount > 0):
        return 0
    return int(Fraction(amount) * rate / 100 + Fraction(1, 2))


def _discounted(parts: list[Json], discount_id: str, coupon: Json) -> Json:
    """Note one discount's share on each line; returns the invoice's row for it."""
    bases = [_left(part) if _applies(coupon, part) else 0 for part in parts]
    shares = discounts.shares(coupon, bases)
    for part, share in zip(parts, shares, strict=True):
        if share:
            part["discount_amounts"].append({"amount": share, "discount": discount_id})
    return {"amount": sum(shares), "discount": discount_id}


def _left(part: Json) -> int:
    taken: int = sum(one["amount"] for one in part["discount_amounts"])
    return int(part["amount"]) - taken


def _applies(coupon: Json, part: Json) -> bool:
    if not part["discountable"]:
        return False
    products = coupon.get("applies_to", {}).get("products")
    if not products:
        return True
    return bool(part["pricing"]) and part["pricing"]["price_details"]["product"] in products


def _taxed(call: Call, invoice: Json, part: Json) -> int:
    amount = tax_of(call, _left(part), enabled=invoice["automatic_tax"]["enabled"])
    if amount:
        part["taxes"] = [_tax_row(amount, _left(part))]
    return amount


def _tax_row(amount: int, taxable: int) -> Json:
    return {
        "amount": amount,
        "tax_behavior": "exclusive",
        "tax_rate_details": None,
        "taxability_reason": "standard_rated",
        "taxable_amount": taxable,
        "type": "tax_rate_details",
    }

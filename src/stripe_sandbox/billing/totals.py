"""Adds up an invoice: lines, discounts, the sandbox's simple tax, the customer's balance.

All amounts are minor units. Leaves which lines there are to ``lines``, and the rate of tax to ``taxing``.
"""

from stripe_sandbox.billing import discounts, taxing
from stripe_sandbox.call import Call
from stripe_sandbox.kinds import Json


def computed(call: Call, invoice: Json) -> Json:
    """Return an unpaid invoice with every sum made anew from its lines."""
    lines = invoice["lines"]["data"]
    parts = [dict(line) | {"discount_amounts": [], "taxes": []} for line in lines]
    taken = [_discounted(parts, one, coupon) for one, coupon in discounts.coupons(call, invoice["discounts"])]
    place = taxing.place_of(call, invoice["customer"]) if invoice["automatic_tax"]["enabled"] else None
    for part in parts:
        tax = taxing.of(call, _left(part), _price_of(call, part), part["currency"], place)
        part["taxes"] = [tax] if tax else []
    taxes = _summed(parts)
    inside: int = sum(row["amount"] for row in taxes if row["tax_behavior"] == "inclusive")
    on_top: int = sum(row["amount"] for row in taxes if row["tax_behavior"] == "exclusive")
    subtotal: int = sum(part["amount"] for part in parts)
    off = sum(one["amount"] for one in taken)
    total = subtotal - off + on_top
    return invoice | {
        "lines": invoice["lines"] | {"data": parts},
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal - inside,
        "total_discount_amounts": taken,
        "total_taxes": taxes,
        "total": total,
        "total_excluding_tax": total - inside - on_top,
        **due(total, invoice["starting_balance"]),
    }


def due(total: int, balance: int) -> Json:
    """Return what is to be paid; a balance below zero is the customer's credit."""
    amount = max(0, total + balance)
    return {"amount_due": amount, "amount_paid": 0, "amount_remaining": amount}


def balance_after(total: int, balance: int) -> int:
    """Return the customer's balance once the invoice is finalised."""
    return min(0, total + balance)


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


def _price_of(call: Call, part: Json) -> Json | None:
    price_id = part["pricing"]["price_details"]["price"] if part["pricing"] else None
    return call.store.get(price_id, "price") if price_id else None


def _summed(parts: list[Json]) -> list[Json]:
    """Return one row for the tax on top and one for the tax inside, of what has any."""
    summed: dict[str, Json] = {}
    for row in (row for part in parts for row in part["taxes"]):
        before = summed.get(row["tax_behavior"], {"amount": 0, "taxable_amount": 0})
        together = {name: before[name] + row[name] for name in ("amount", "taxable_amount")}
        summed[row["tax_behavior"]] = row | together
    return list(summed.values())

"""The sandbox's simple tax: one rate for each country, on top of a price or inside it, as the price says.

Where a customer lives is read off their address, then off that of their shipping or default card. Leaves which
amounts are taxed, and their sums, to ``totals`` and ``reckoning``.
"""

from fractions import Fraction

from stripe_sandbox import money
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json

TAX_PERCENT, TAX_STATUS = "tax_percent", "tax_status"
"""The settings of the desk: one rate for every country instead of the table; ``pending`` as if never set up."""
STATUSES = ("active", "pending")

RATES = {
    "AT": "20",
    "AU": "10",
    "CH": "8.1",
    "DE": "19",
    "ES": "21",
    "FR": "20",
    "GB": "20",
    "IE": "23",
    "IT": "22",
    "JP": "10",
    "NL": "21",
    "NO": "25",
}
"""Percent by country, about those of real life; every other country has none."""

Place = str | None
"""The country where tax is due; ``None`` where none is reckoned, or nobody knows."""


def place_of(call: Call, customer_id: str | None) -> Place:
    """Return the country of a customer, if it is known."""
    customer = call.store.get(customer_id, "customer") if customer_id else None
    if customer is None or customer.get("deleted"):
        return None
    method = call.store.get(customer["invoice_settings"]["default_payment_method"] or "", "payment_method")
    known = [
        customer["address"],
        (customer["shipping"] or {}).get("address"),
        ((method or {}).get("billing_details") or {}).get("address"),
    ]
    return next((place["country"] for place in known if place and place.get("country")), None)


def of(call: Call, amount: int, price: Json | None, currency: str, place: Place) -> Json | None:
    """Return the tax on an amount, as a line of an invoice shows it; negative for what is credited.

    Three decimals end in zero, tax and all. A price that says neither is taxed on top.
    """
    rate = _rate(call, place)
    if not rate or not amount:
        return None
    inside = price is not None and price["tax_behavior"] == "inclusive"
    exact = Fraction(abs(amount)) * rate / (100 + rate if inside else 100)
    unit = money.smallest(currency)
    tax = int(exact / unit + Fraction(1, 2)) * unit * (1 if amount > 0 else -1)
    return {
        "amount": tax,
        "tax_behavior": "inclusive" if inside else "exclusive",
        "tax_rate_details": None,
        "taxability_reason": "standard_rated",
        "taxable_amount": amount - tax if inside else amount,
        "type": "tax_rate_details",
    }


def need_set_up(call: Call) -> None:
    """Raise if the account's tax is not set up."""
    if status(call) != "active":
        message = (
            "You must have a valid head office address to enable automatic tax calculation in test mode. Visit "
            "https://dashboard.stripe.com/test/settings/tax to update it."
        )
        raise ApiError(message, param="automatic_tax")


def need_place(call: Call, customer_id: str | None) -> None:
    """Raise if nobody can tell where a customer lives."""
    if place_of(call, customer_id) is None:
        raise no_place("automatic_tax")


def no_place(param: str) -> ApiError:
    """Return the refusal of a customer whose address is not enough."""
    message = (
        "The customer's location isn't recognized. Set a valid customer address in order to automatically "
        "calculate tax."
    )
    return ApiError(message, code="customer_tax_location_invalid", param=param)


def status(call: Call) -> str:
    """Return whether tax is set up."""
    return call.store.setting(TAX_STATUS) or "active"


def _rate(call: Call, place: Place) -> Fraction:
    if place is None:
        return Fraction(0)
    return Fraction(call.store.setting(TAX_PERCENT) or RATES.get(place, "0"))

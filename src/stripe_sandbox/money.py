"""Shows amounts in minor units to people. Source: docs.stripe.com/currencies#zero-decimal.

Leaves all arithmetic to others; nothing here goes back into the books.
"""

from datetime import UTC, datetime

_NO_MINOR = frozenset(
    {"bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof"}
    | {"xpf"}
)
_THREE_DIGITS = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])
_SIGNS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}


def shown(amount: int, currency: str) -> str:
    """Return an amount such as ``$10.00``, ``¥500`` or ``CHF 12.50``."""
    digits = 0 if currency in _NO_MINOR else 3 if currency in _THREE_DIGITS else 2
    whole, part = divmod(abs(amount), 10**digits)
    text = f"{whole:,}" + (f".{part:0{digits}d}" if digits else "")
    sign = _SIGNS.get(currency, currency.upper() + " ")
    return ("-" if amount < 0 else "") + sign + text


def day(at: int) -> str:
    """Return a date such as ``28 Feb 2026``; `at` is in seconds since 1970."""
    return datetime.fromtimestamp(at, UTC).strftime("%d %b %Y")


def moment(at: float) -> str:
    """Return a date and time such as ``2026-02-28 14:03:59``, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def smallest(currency: str) -> int:
    """Return the step, in minor units, in which amounts can be charged."""
    return 10 if currency in _THREE_DIGITS else 1


def in_tens(amount: int, currency: str) -> bool:
    """Tell whether an amount can be charged: with three decimals, the last must be zero."""
    return amount % smallest(currency) == 0

"""Credits as callers write them, to micro-credits and back: the only place where that happens in the SDK.

One credit is 1,000,000 micro-credits. Floats are refused, since 0.1 + 0.2 is not 0.3.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from credit_sdk.errors import AmountOutOfRangeError

Amount = int | Decimal | str
"""Credits: ``5``, ``Decimal("0.25")`` or ``"0.25"``; never a float."""

MICRO = 1_000_000
AMOUNT_MICRO_MAX = 10**15


def micro_of(credits: Amount) -> int:
    """Micro-credits of an amount of credits; zero and above.

    Raises:
        TypeError: a float, a bool or something else that is not an exact number.
        AmountOutOfRangeError: not a number, negative, above a billion credits, or finer than a
            micro-credit.
    """
    if isinstance(credits, float):
        message = (
            f"credits must be exact, and {credits!r} is a float: pass an int,"
            f' Decimal("{credits}") or "{credits}"'
        )
        raise TypeError(message)
    if isinstance(credits, bool) or not isinstance(credits, (int, Decimal, str)):
        message = f"credits must be an int, a Decimal or a str, not {type(credits).__name__}"
        raise TypeError(message)
    try:
        micro = Decimal(credits) * MICRO
    except InvalidOperation:
        raise AmountOutOfRangeError(facts={"given": str(credits)}) from None
    if not micro.is_finite() or not 0 <= micro <= AMOUNT_MICRO_MAX or micro != int(micro):
        raise AmountOutOfRangeError(facts={"given": str(credits)})
    return int(micro)


def positive_micro_of(credits: Amount) -> int:
    """Micro-credits of an amount that moves.

    Raises:
        TypeError: as ``micro_of``.
        AmountOutOfRangeError: as ``micro_of``, and also zero.
    """
    micro = micro_of(credits)
    if micro == 0:
        raise AmountOutOfRangeError(facts={"given": str(credits)})
    return micro


def credits_of(micro: int) -> int | Decimal:
    """Credits of an amount in micro-credits: an int when whole, else an exact Decimal."""
    whole, rest = divmod(micro, MICRO)
    return Decimal(micro).scaleb(-6).normalize() if rest else whole

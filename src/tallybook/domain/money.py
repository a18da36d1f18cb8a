"""Amounts: ``Credits`` in micro-credits and ``Money`` in minor units, both integers.

The only module that turns decimal text into amounts and back. It leaves rating and rounding of usage to metering.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tallybook.domain.errors import AmountOutOfRangeError

MICRO = 1_000_000
AMOUNT_MICRO_MAX = 10**15

# Currencies whose minor unit is not a hundredth: https://docs.stripe.com/currencies (zero- and three-decimal).
_EXPONENTS = {
    **dict.fromkeys("bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf".split(), 0),
    **dict.fromkeys("bhd jod kwd omr tnd".split(), 3),
}


@dataclass(frozen=True, slots=True, order=True)
class Credits:
    """An amount of credits in micro-credits (1 credit = 1,000,000)."""

    micro: int

    @classmethod
    def whole(cls, credits: int) -> Credits:
        """So many whole credits."""
        return cls(credits * MICRO)

    @classmethod
    def parse(cls, text: str | int | Decimal) -> Credits:
        """Decimal credits as people and old clients write them, at most six decimals.

        Raises:
            AmountOutOfRangeError: not a finite number, too fine, or too large.
        """
        try:
            micro = Decimal(text) * MICRO
        except (ArithmeticError, ValueError):
            raise AmountOutOfRangeError(given=str(text)) from None
        if not micro.is_finite() or micro != micro.to_integral_value() or abs(micro) > AMOUNT_MICRO_MAX:
            raise AmountOutOfRangeError(given=str(text))
        return cls(int(micro))

    def __str__(self) -> str:
        """Plain decimal credits without trailing zeros: ``1000`` or ``0.25``."""
        whole, rest = divmod(abs(self.micro), MICRO)
        sign = "-" if self.micro < 0 else ""
        return f"{sign}{whole}" + (f".{rest:06d}".rstrip("0") if rest else "")

    def number(self) -> int | float:
        """The JSON number that the seed routes show: an integer where whole.

        A fraction becomes the nearest double, exact to the micro-credit below 9 billion credits; it is for display
        only and never read back.
        """
        return self.micro // MICRO if self.micro % MICRO == 0 else float(str(self))


def positive(amount: Credits) -> Credits:
    """The amount itself, if one may ask the ledger for it.

    Raises:
        AmountOutOfRangeError: zero, negative, or above the limit.
    """
    if not 0 < amount.micro <= AMOUNT_MICRO_MAX:
        raise AmountOutOfRangeError(given=str(amount))
    return amount


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of money in the minor unit of its currency (ISO 4217 code in lower case)."""

    minor: int
    currency: str

    @property
    def exponent(self) -> int:
        """How many decimals the currency has: 2 for most, 0 for JPY, 3 for KWD."""
        return _EXPONENTS.get(self.currency, 2)

    def __str__(self) -> str:
        """Plain text for people: ``10.00 USD``, ``500 JPY``."""
        sign = "-" if self.minor < 0 else ""
        digits = f"{abs(self.minor):0{self.exponent + 1}d}"
        cut = len(digits) - self.exponent
        text = digits[:cut] + (f".{digits[cut:]}" if self.exponent else "")
        return f"{sign}{text} {self.currency.upper()}"

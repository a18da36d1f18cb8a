"""What credits cost when they are not bought as a pack: one rate for each currency. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tallybook.domain.errors import AmountOutOfRangeError, CatalogError
from tallybook.domain.money import Credits, Money, positive

_CURRENCY = re.compile(r"[a-z]{3}")
_CREDITS_MAX = 1_000_000
MINOR_MAX = 99_999_999
"""The most that Stripe charges at once, in minor units: https://docs.stripe.com/currencies#minimum-and-maximum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many credits for so much money; any amount of either is sold in this proportion."""

    credits: Credits
    price: Money

    def credits_for(self, paid: Money) -> Credits:
        """What an amount of money buys, rounded once, half to even, to the micro-credit.

        Raises:
            AmountOutOfRangeError: it buys nothing, or more than a wallet may be given at once.
        """
        assert paid.currency == self.price.currency, (paid, self.price)
        whole, rest = divmod(paid.minor * self.credits.micro, self.price.minor)
        doubled = 2 * rest
        up = doubled > self.price.minor or (doubled == self.price.minor and whole % 2 == 1)
        return positive(Credits(whole + up))

    def price_of(self, credits: Credits) -> Money:
        """The least that buys so many credits: a part of a minor unit is a whole one."""
        minor = -(-credits.micro * self.price.minor // self.credits.micro)
        if self.price.exponent == 3:
            minor = -(-minor // 10) * 10  # Stripe takes three decimals whose last is zero.
        return Money(minor, self.price.currency)


def chargeable(price: Money) -> Money:
    """The amount itself, if Stripe can charge it at once.

    Raises:
        AmountOutOfRangeError: not above zero, too large, or finer than Stripe takes in this currency.
    """
    if not 0 < price.minor <= MINOR_MAX or (price.exponent == 3 and price.minor % 10):
        raise AmountOutOfRangeError(given=str(price))
    return price


def parse_rates(given: object) -> tuple[Rate, ...]:
    """The table ``[rates]`` of the catalogue.

    Raises:
        CatalogError: says which line is wrong.
    """
    if not isinstance(given, dict):
        raise CatalogError("rates: make it a table, as in [rates.usd].")
    return tuple(_rate(currency, line) for currency, line in given.items())


def parse_prices(at: str, given: object, own: Money) -> tuple[Money, ...]:
    """What a product costs in other currencies than its own: ``prices = { eur = 900, jpy = 1500 }``.

    Raises:
        CatalogError: says what is wrong.
    """
    if not isinstance(given, dict):
        raise CatalogError(f"{at}.prices: make it a table, as in {{ eur = 900 }}.")
    for currency in given:
        if not _CURRENCY.fullmatch(currency) or currency == own.currency:
            raise CatalogError(f"{at}.prices: name other currencies than {own.currency}, in lower case.")
    return tuple(_money(f"{at}.prices.{currency}", minor, currency) for currency, minor in given.items())


def _rate(currency: str, line: object) -> Rate:
    at = f"rates.{currency}"
    if not _CURRENCY.fullmatch(currency) or not isinstance(line, Mapping):
        raise CatalogError(f"{at}: write [rates.usd] with credits and amount_minor.")
    if set(line) != {"credits", "amount_minor"}:
        raise CatalogError(f"{at}: give credits and amount_minor, and nothing else.")
    credits = line["credits"]
    if isinstance(credits, bool) or not isinstance(credits, int) or not 0 < credits <= _CREDITS_MAX:
        raise CatalogError(f"{at}.credits: give a whole number from 1 to {_CREDITS_MAX:,}.")
    return Rate(credits=Credits.whole(credits), price=_money(at, line["amount_minor"], currency))


def _money(at: str, minor: Any, currency: str) -> Money:
    if isinstance(minor, bool) or not isinstance(minor, int):
        raise CatalogError(f"{at}: give the amount in minor units, as a whole number.")
    try:
        return chargeable(Money(minor, currency))
    except AmountOutOfRangeError:
        raise CatalogError(f"{at}: {minor} is not an amount that Stripe can charge in {currency}.") from None

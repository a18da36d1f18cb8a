"""What is sold: packages, packs and plans, read from the text of the one reviewed file.

Pure: who reads the file, and which Stripe price a product became, is left to others.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from tallybook.domain.catalog.taxes import KEYS as TAX_KEYS
from tallybook.domain.catalog.taxes import Taxing, parse_taxing
from tallybook.domain.errors import AmountOutOfRangeError, CatalogError
from tallybook.domain.money import Credits, Money
from tallybook.domain.rates import MINOR_MAX, Rate, chargeable, parse_prices, parse_rates

_LOOKUP_KEY = re.compile(r"[a-z][a-z0-9_]{0,99}")
_CURRENCY = re.compile(r"[a-z]{3}")
_INTERVALS = ("day", "week", "month", "year")
_TEXT_MAX = 500
_CREDITS_MAX = 1_000_000
_NO_CREDITS = Credits(0)
_BY_STRIPE = Taxing()
_OF_PLANS = {"interval", "plan_family", "credits_expire", "trial_days", "trial_credits"}
_TRIAL_DAYS_MAX = 730
"""The most that Stripe allows: https://docs.stripe.com/api/subscriptions/create (trial_period_days)."""
AMOUNT_MINOR_MAX = MINOR_MAX


class Family(StrEnum):
    """The three kinds of products; each can be switched on separately."""

    PACKAGE = "package"
    PACK = "pack"
    PLAN = "plan"

    @property
    def section(self) -> str:
        """Its name in the file: ``packages``."""
        return f"{self}s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One line of the catalogue: so many credits for so much money, once or per interval.

    ``id`` is the permanent integer of a package. ``forced_price_id`` is a Stripe price that the settings name.
    ``prices`` are what it costs in other currencies.

    Of a plan: of each ``plan_family`` a user has one at a time; its credits stay or, with ``credits_expire``, end with
    the period they were paid for; ``trial_days`` are free and bring ``trial_credits``, once for each user and family.
    """

    family: Family
    id: int | None
    lookup_key: str
    name: str
    description: str
    credits: Credits
    price: Money
    interval: str | None
    aliases: tuple[str, ...] = ()
    badge: str | None = None
    enabled: bool = True
    forced_price_id: str | None = None
    plan_family: str | None = None
    credits_expire: bool = False
    trial_days: int | None = None
    trial_credits: Credits = _NO_CREDITS
    prices: tuple[Money, ...] = ()
    taxing: Taxing = _BY_STRIPE

    def price_in(self, currency: str) -> Money | None:
        """What one costs in another currency than its own, if it is sold in it."""
        return next((price for price in self.prices if price.currency == currency), None)

    @property
    def mode(self) -> str:
        """How it is bought, in Stripe's words: ``payment`` once, ``subscription`` per interval."""
        return "payment" if self.interval is None else "subscription"

    @property
    def references(self) -> frozenset[str]:
        """Every name it answers to, besides the Stripe price it was linked to."""
        names = {self.lookup_key, *self.aliases}
        if self.forced_price_id is not None:
            names.add(self.forced_price_id)
        return frozenset(names)


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every product, in the order of the file, and the rates at which credits are sold without one."""

    products: tuple[Product, ...]
    rates: tuple[Rate, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Catalog:
        """The catalogue in the text of a TOML file.

        Raises:
            CatalogError: names the key that is wrong and says what to do.
        """
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as problem:
            raise CatalogError(f"The catalogue is not valid TOML: {problem}.") from None
        known = {"currency", "families", "rates", *TAX_KEYS, *(family.section for family in Family)}
        _refuse_unknown("the catalogue", document, known)
        switches = _switches(document.get("families", {}))
        products = tuple(
            _product(family, place, line, document, enabled=switches[family])
            for family in Family
            for place, line in enumerate(_lines(document, family))
        )
        _refuse_doubles(products)
        return cls(products, parse_rates(document.get("rates", {})))

    def with_prices(self, forced: Mapping[str, str]) -> Catalog:
        """The same catalogue, sold at the Stripe prices that the settings name by lookup key.

        Raises:
            CatalogError: two products at one price; or a price for a product that is not there.
        """
        unknown = sorted(forced.keys() - {product.lookup_key for product in self.products})
        if unknown:
            raise CatalogError(
                f"{unknown[0]}: a STRIPE_PRICE_* setting names a product that the catalogue lacks."
            )
        products = tuple(
            replace(product, forced_price_id=forced.get(product.lookup_key)) for product in self.products
        )
        _refuse_doubles(products)
        return replace(self, products=products)

    @property
    def on_sale(self) -> tuple[Product, ...]:
        """The products whose family is switched on and that are not switched off themselves."""
        return tuple(product for product in self.products if product.enabled)

    def by_lookup_key(self, lookup_key: str) -> Product | None:
        """The product of this lookup key, on sale or not: what was sold before still has its subscribers."""
        return next((product for product in self.products if product.lookup_key == lookup_key), None)

    def rate(self, currency: str) -> Rate | None:
        """At which rate credits are sold in a currency, if they are."""
        return next((rate for rate in self.rates if rate.price.currency == currency), None)

    def find(self, reference: str | int) -> Product | None:
        """The product on sale with this lookup key, alias, forced Stripe price id or (an integer) package id."""
        for product in self.on_sale:
            if isinstance(reference, int):
                if product.id == reference:
                    return product
            elif reference in product.references:
                return product
        return None


def _switches(given: object) -> dict[Family, bool]:
    if not isinstance(given, dict):
        raise CatalogError("families: make it a table, as in [families] packages = true.")
    _refuse_unknown("families", given, {family.section for family in Family})
    for name, value in given.items():
        if not isinstance(value, bool):
            raise CatalogError(f"families.{name}: say true or false.")
    return {family: given.get(family.section, True) for family in Family}


def _lines(document: Mapping[str, Any], family: Family) -> Sequence[Mapping[str, Any]]:
    lines = document.get(family.section, [])
    if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
        raise CatalogError(f"{family.section}: write each product as [[{family.section}]].")
    return lines


def _product(
    family: Family,
    place: int,
    line: Mapping[str, Any],
    common: Mapping[str, Any],
    *,
    enabled: bool,
) -> Product:
    at = f"{family.section}[{place}]"
    known = {"lookup_key", "name", "description", "credits", "amount_minor", "currency"}
    known |= {"aliases", "badge", "enabled", *TAX_KEYS}
    if family is not Family.PLAN:
        known.add("prices")
    known |= {Family.PACKAGE: {"id"}, Family.PACK: set(), Family.PLAN: _OF_PLANS}[family]
    _refuse_unknown(at, line, known)
    key = _text(at, line, "lookup_key")
    if not _LOOKUP_KEY.fullmatch(key):
        raise CatalogError(f"{at}.lookup_key: use lower-case letters, digits and _ only.")
    at = f"{family.section}.{key}"
    money_in = line.get("currency", common.get("currency", "usd"))
    if not isinstance(money_in, str) or not _CURRENCY.fullmatch(money_in):
        raise CatalogError(f"{at}.currency: use a three-letter code in lower case, such as usd.")
    interval = line.get("interval")
    if family is Family.PLAN and interval not in _INTERVALS:
        raise CatalogError(f"{at}.interval: use one of {', '.join(_INTERVALS)}.")
    own_switch = line.get("enabled", True)
    if not isinstance(own_switch, bool):
        raise CatalogError(f"{at}.enabled: say true or false.")
    return Product(
        family=family,
        id=_integer(at, line, "id", most=10_000) if family is Family.PACKAGE else None,
        lookup_key=key,
        name=_text(at, line, "name"),
        description=_text(at, line, "description"),
        credits=Credits.whole(_integer(at, line, "credits", most=_CREDITS_MAX)),
        price=(price := _price(at, line, money_in)),
        interval=interval,
        aliases=_aliases(at, line),
        badge=_text(at, line, "badge") if "badge" in line else None,
        enabled=enabled and own_switch,
        prices=parse_prices(at, line.get("prices", {}), price),
        taxing=parse_taxing(at, line, common),
        **(_of_plan(at, line) if family is Family.PLAN else {}),
    )


def _of_plan(at: str, line: Mapping[str, Any]) -> dict[str, Any]:
    """What only plans have."""
    expire = line.get("credits_expire", "never")
    if expire not in ("never", "period_end"):
        raise CatalogError(f"{at}.credits_expire: use never, or period_end.")
    plan_family = line.get("plan_family", "main")
    if not isinstance(plan_family, str) or not _LOOKUP_KEY.fullmatch(plan_family):
        raise CatalogError(f"{at}.plan_family: use lower-case letters, digits and _ only.")
    trial_days = _integer(at, line, "trial_days", most=_TRIAL_DAYS_MAX) if "trial_days" in line else None
    if "trial_credits" in line and trial_days is None:
        raise CatalogError(f"{at}.trial_credits: say trial_days too.")
    given = _integer(at, line, "trial_credits", most=_CREDITS_MAX) if "trial_credits" in line else 0
    return {
        "plan_family": plan_family,
        "credits_expire": expire == "period_end",
        "trial_days": trial_days,
        "trial_credits": Credits.whole(given),
    }


def _price(at: str, line: Mapping[str, Any], currency: str) -> Money:
    price = Money(_integer(at, line, "amount_minor", most=AMOUNT_MINOR_MAX), currency)
    try:
        return chargeable(price)
    except AmountOutOfRangeError:
        raise CatalogError(
            f"{at}.amount_minor: the last of three decimals is always zero at Stripe."
        ) from None


def _aliases(at: str, line: Mapping[str, Any]) -> tuple[str, ...]:
    given = line.get("aliases", [])
    if not isinstance(given, list) or not all(isinstance(name, str) and name for name in given):
        raise CatalogError(f'{at}.aliases: make it a list of names, such as ["price_old"].')
    return tuple(given)


def _text(at: str, line: Mapping[str, Any], name: str) -> str:
    value = line.get(name)
    if not isinstance(value, str) or not 0 < len(value.strip()) <= _TEXT_MAX:
        raise CatalogError(f"{at}.{name}: give a text of 1 to {_TEXT_MAX} characters.")
    return value.strip()


def _integer(at: str, line: Mapping[str, Any], name: str, *, most: int) -> int:
    value = line.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= most:
        raise CatalogError(f"{at}.{name}: give a whole number from 1 to {most:,}.")
    return value


def _refuse_unknown(at: str, given: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(given.keys() - known)
    if unknown:
        names = ", ".join(sorted(known))
        raise CatalogError(f"{at}: {unknown[0]} is not known here; use {names}.")


def _refuse_doubles(products: Sequence[Product]) -> None:
    owner: dict[str | int, str] = {}
    for product in products:
        at = f"{product.family.section}.{product.lookup_key}"
        names = [product.lookup_key, *product.aliases, product.id, product.forced_price_id]
        for name in names:
            if name is None:
                continue
            if name in owner:
                raise CatalogError(f"{at}: {name} is already taken by {owner[name]}; each is unique.")
            owner[name] = at

"""Importing a Stripe account: who its customers become, and which of their payments bring credits. Pure."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from tallybook.domain.errors import AmountOutOfRangeError, InvalidRequestError
from tallybook.domain.identity.people import email_key, is_email
from tallybook.domain.money import Credits, Money

NOTHING = Credits(0)


class Grants(StrEnum):
    """What an import grants: nothing, the credits of past payments, or opening balances that are given."""

    NONE = "none"
    HISTORY = "history"
    BALANCES = "balances"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to import.

    ``since`` bounds which past payments bring credits. ``prices`` name our products for Stripe prices that we never
    made. ``balances`` are by customer id or by e-mail in lower case; ``balance_field`` is a metadata field that holds
    one. ``chosen`` are the customers that win where several share an e-mail; with ``links_existing`` a customer is
    given to the user who has its e-mail already.
    """

    grants: Grants = Grants.NONE
    since: datetime | None = None
    prices: Mapping[str, str] = field(default_factory=dict)
    balances: Mapping[str, Credits] = field(default_factory=dict)
    balance_field: str | None = None
    chosen: frozenset[str] = frozenset()
    links_existing: bool = False

    def digest(self) -> bytes:
        """Equal for equal options: what was stopped is gone on with only under the same."""
        parts = [
            str(self.grants),
            None if self.since is None else self.since.isoformat(),
            sorted(self.prices.items()),
            sorted((who, credits.micro) for who, credits in self.balances.items()),
            self.balance_field,
            sorted(self.chosen),
            self.links_existing,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerReport:
    """A customer at Stripe."""

    id: str
    email: str | None
    metadata: Mapping[str, str]
    livemode: bool
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeReport:
    """A charge that succeeded; ``gone_back``: something was refunded or disputed of it."""

    id: str
    payment_intent_id: str | None
    money: Money
    description: str | None
    gone_back: bool
    receipt_url: str | None
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PastPart:
    """Credits that a past payment brings; ``key`` is the one under which its webhook would have granted them."""

    lookup_key: str
    name: str
    credits: Credits
    expires_at: datetime | None
    key: str
    is_plan: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PastPayment:
    """A payment of before: once in our books, its webhook grants nothing any more.

    ``from_balance_minor`` is what the customer's balance paid beside ``money``, ``tax_minor`` the tax in both.
    """

    reference: str
    payment_intent_id: str | None
    money: Money
    description: str
    gone_back: bool
    receipt_url: str | None
    paid_at: datetime
    parts: tuple[PastPart, ...] = ()
    from_balance_minor: int = 0
    tax_minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became (or, in a dry run, would become) of a customer.

    ``outcome`` is ``created``, ``linked``, ``known``, or ``conflict``: then nothing was done; ``conflicts`` say why.
    ``payments`` counts those newly written down.
    """

    customer_id: str
    email: str | None
    outcome: str
    user_id: int | None = None
    payments: int = 0
    granted: Credits = NOTHING
    opening: Credits = NOTHING
    subscriptions: tuple[str, ...] = ()
    unknown_prices: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()


def shared_emails(customers: Iterable[tuple[str | None, str]]) -> frozenset[str]:
    """The e-mails that several customers have: who of them it is, only people know."""
    counted = Counter(email_key(email) for email, _ in customers if email is not None)
    return frozenset(email for email, count in counted.items() if count > 1)


def conflict_of(report: CustomerReport, shared: frozenset[str], options: Options) -> str | None:
    """Why a customer cannot become a user by its e-mail; None if it can."""
    if report.email is None or not is_email(report.email):
        return "no_email"
    if email_key(report.email) in shared and report.id not in options.chosen:
        return "email_shared"
    return None


def opening_balance(report: CustomerReport, options: Options) -> Credits | None:
    """The balance that a customer begins with, if one is given.

    Raises:
        AmountOutOfRangeError: the metadata field holds no amount.
    """
    if options.grants is not Grants.BALANCES:
        return None
    given = options.balances.get(report.id)
    if given is None and report.email is not None:
        given = options.balances.get(email_key(report.email))
    if given is None and options.balance_field is not None:
        text = report.metadata.get(options.balance_field)
        given = None if text is None or not text.strip() else Credits.parse(text.strip())
    return given


def parse_balances(text: str) -> dict[str, Credits]:
    """Opening balances out of a CSV with the columns ``credits`` and ``customer`` or ``email``.

    Raises:
        InvalidRequestError: names the line that is wrong.
    """
    found: dict[str, Credits] = {}
    reader = csv.DictReader(io.StringIO(text))
    if not {"credits"} <= set(reader.fieldnames or ()) or not {"customer", "email"} & set(
        reader.fieldnames or ()
    ):
        raise InvalidRequestError(
            "The balances need the columns credits, and customer or email, in the first line."
        )
    for line, row in enumerate(reader, 2):
        who = (row.get("customer") or "").strip() or email_key(row.get("email") or "")
        try:
            credits = Credits.parse((row.get("credits") or "").strip())
        except AmountOutOfRangeError:
            raise InvalidRequestError(f"Line {line} of the balances: credits is not an amount.") from None
        if not who or who in found or credits.micro < 0:
            raise InvalidRequestError(
                f"Line {line} of the balances: nobody, somebody twice, or less than nothing."
            )
        found[who] = credits
    return found

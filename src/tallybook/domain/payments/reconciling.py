"""What the reconciler finds: differences between Stripe and our books, its runs, and the check sums of days. Pure.

How objects are compared is left to ``comparing``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tallybook.domain.money import Money


class Severity(StrEnum):
    """A ``difference`` wants to be settled; a ``notice`` is worth knowing and may stay."""

    DIFFERENCE = "difference"
    NOTICE = "notice"


class Kind(StrEnum):
    """What a finding is about; ``day`` is the sum of a day's money in one currency."""

    SESSION = "checkout_session"
    INVOICE = "invoice"
    SUBSCRIPTION = "subscription"
    PAYMENT_INTENT = "payment_intent"
    DAY = "day"


class Repair(StrEnum):
    """The use case that settles it: the same one as for a webhook."""

    CHECKOUT = "settle_checkout"
    INVOICE = "settle_invoice"
    SUBSCRIPTION = "settle_subscription"
    MONEY_BACK = "settle_payment_intent"


class FindingStatus(StrEnum):
    """``open`` waits; ``gone``: a later look found nothing any more."""

    OPEN = "open"
    REPAIRED = "repaired"
    GONE = "gone"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True)
class Window:
    """The half-open time [since, until) in which objects were made at Stripe."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A difference: what the books would say if they agreed, what they say, and what would settle it.

    ``repair`` is None where only people can.
    """

    code: str
    kind: Kind
    object_id: str
    expected: str
    found: str
    severity: Severity = Severity.DIFFERENCE
    repair: Repair | None = None
    repair_object: str | None = None
    customer_id: str | None = None
    user_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFinding:
    """A finding as it is kept."""

    finding_id: int
    finding: Finding
    status: FindingStatus
    outcome: str | None
    attempts: int
    reason: str | None
    first_seen_at: datetime
    last_seen_at: datetime
    settled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A reconciliation: what it was asked for, how far it is, what it found. ``differences`` are those still open."""

    reconciliation_id: int
    status: str
    applies: bool
    asked_by: str
    since: datetime | None
    until: datetime | None
    requested_at: datetime
    began_at: datetime | None
    finished_at: datetime | None
    events_fetched: int
    events_missing: int
    objects_compared: int
    found: int
    repaired: int
    differences: int
    notices: int
    totals: Sequence[dict[str, object]]
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a reconciliation ended, and what it counted."""

    status: str
    events_fetched: int
    events_missing: int
    objects_compared: int
    found: int
    repaired: int
    totals: Sequence[dict[str, object]]
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentReport:
    """A payment intent as Stripe has it right now; ``deployment`` is whose it says it is, a hint only."""

    id: str
    status: str
    received: Money
    customer_id: str | None
    deployment: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceEntry:
    """An entry of the account's balance: a charge, or (``returned``) what went back of one or came again.

    ``money`` is what the customer was charged (positive) or given back (negative), in the currency they paid in.
    """

    id: str
    payment_intent_id: str | None
    money: Money
    returned: bool
    created: datetime

    @property
    def day(self) -> str:
        """The UTC day it was made on."""
        return self.created.date().isoformat()


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyTotal:
    """A day's money in one currency, in minor units, for the payments that are in our books.

    ``charged`` and ``went_back`` are Stripe's balance, ``elsewhere`` its charges that are none of our payments;
    ``booked`` is what our books say was paid by the same payments.
    """

    day: str
    currency: str
    charged: int
    booked: int
    went_back: int
    elsewhere: int

    @property
    def agrees(self) -> bool:
        """Whether the check sum does."""
        return self.charged == self.booked


def totals(entries: Iterable[BalanceEntry], booked: Mapping[str, Money]) -> list[DailyTotal]:
    """The check sum of each day and currency; ``booked`` is what our books say each payment intent paid."""
    sums: dict[tuple[str, str], list[int]] = {}
    counted: set[str] = set()
    for entry in entries:
        known = booked.get(entry.payment_intent_id or "")
        row = sums.setdefault((entry.day, entry.money.currency), [0, 0, 0, 0])
        if known is None:
            row[3] += entry.money.minor
        elif entry.returned:
            row[2] -= entry.money.minor
        else:
            row[0] += entry.money.minor
            if entry.payment_intent_id not in counted and known.currency == entry.money.currency:
                row[1] += known.minor
            counted.add(entry.payment_intent_id or "")
    return [
        DailyTotal(
            day=day, currency=currency, charged=row[0], booked=row[1], went_back=row[2], elsewhere=row[3]
        )
        for (day, currency), row in sorted(sums.items())
    ]


def compare_total(total: DailyTotal) -> Finding | None:
    """A day whose check sum is off."""
    if total.agrees:
        return None
    return Finding(
        code="daily_total_differs",
        kind=Kind.DAY,
        object_id=f"{total.day} {total.currency}",
        expected=str(Money(total.charged, total.currency)),
        found=str(Money(total.booked, total.currency)),
    )

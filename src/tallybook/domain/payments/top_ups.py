"""Auto top-up: when a saved card is charged, how much at once, and when it is not charged any more. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from tallybook.domain.errors import InvalidRequestError, StripeRefusedError
from tallybook.domain.money import AMOUNT_MICRO_MAX, Credits, Money, positive
from tallybook.domain.payments.checkouts import QUANTITY_MAX
from tallybook.domain.rates import MINOR_MAX, Rate

DECLINES_MAX = 3
"""After so many declines in a row the card is charged no more: banks and card networks watch who goes on."""

_WAITS = (timedelta(hours=1), timedelta(hours=12))
"""How long to wait after the first and the second decline."""

FINAL_DECLINES = frozenset(
    {
        "card_not_supported",
        "do_not_try_again",
        "expired_card",
        "fraudulent",
        "invalid_account",
        "lost_card",
        "merchant_blacklist",
        "new_account_information_available",
        "pickup_card",
        "restricted_card",
        "revocation_of_all_authorizations",
        "revocation_of_authorization",
        "security_violation",
        "stolen_card",
        "stop_payment_order",
        "transaction_not_allowed",
    }
)
"""After these the same card is not to be tried again: https://docs.stripe.com/declines/codes."""

OUTCOME_UNKNOWN = "outcome_unknown"
"""Nobody could find out what became of a charge, and no trace of it is at Stripe."""

NO_DECLINES = frozenset({StripeRefusedError.code, OUTCOME_UNKNOWN})
"""No bank said no: a key that may not charge, an order that Stripe does not take. It says nothing about the card."""

ACTION_LIFETIME = timedelta(hours=24)
"""How long a customer has to show themselves to the bank before a top-up is given up."""


class StopReason(StrEnum):
    """Why a rule charges nothing until its customer does something."""

    NO_SAVED_CARD = "no_saved_card"
    NOT_SOLD = "not_sold"
    CARD_REFUSED = "card_refused"
    DECLINED_TOO_OFTEN = "declined_too_often"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUpTerms:
    """What a customer wants: below ``threshold`` available credits, charge.

    ``lookup_key`` and ``quantity`` name the least to buy as packs, ``credits`` as credits at the catalogue's rate; one
    of the two. No more than ``monthly_cap`` is charged in a month of UTC.
    """

    threshold: Credits
    lookup_key: str | None
    quantity: int
    credits: Credits | None
    monthly_cap: Money
    enabled: bool

    def checked(self) -> TopUpTerms:
        """The same, if it makes sense.

        Raises:
            InvalidRequestError: both or none of a pack and credits. AmountOutOfRangeError: an amount that cannot be.
        """
        if (self.lookup_key is None) == (self.credits is None):
            raise InvalidRequestError("Name a pack in price, or credits_micro at the rate: one of the two.")
        positive(self.threshold)
        if self.credits is not None:
            positive(self.credits)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUpRule:
    """A wallet's rule as it is kept; ``not_before`` is when its card may be charged next."""

    wallet_id: int
    user_id: int
    terms: TopUpTerms
    revision: int
    declines: int
    not_before: datetime
    stopped: StopReason | None
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What is bought so many times: a pack."""

    name: str
    credits: Credits
    price: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """One charge: what it brings and costs in all."""

    quantity: int
    credits: Credits
    price: Money


def gap(terms: TopUpTerms, *, available_micro: int, debt_micro: int) -> int:
    """How many micro-credits are missing to the threshold; zero or less: nothing is due."""
    return terms.threshold.micro - (available_micro - debt_micro)


def purchase(terms: TopUpTerms, sold: Unit | Rate, missing_micro: int, left: Money) -> Purchase | None:
    """What to charge at once to close the gap; None if ``left`` of the month's cap has no room for any of it."""
    if isinstance(sold, Unit):
        return of_packs(terms, sold, missing_micro, left)
    return of_credits(terms, sold, missing_micro, left)


def of_packs(terms: TopUpTerms, unit: Unit, missing_micro: int, left: Money) -> Purchase | None:
    """As many of a pack as close the whole gap in one charge, at least the rule's own quantity.

    What does not fit into ``left`` of the month's cap is left out; None if not even one pack fits.
    """
    assert unit.price.currency == left.currency, (unit, left)
    wanted = max(terms.quantity, -(-missing_micro // unit.credits.micro))
    fits = min(left.minor, MINOR_MAX) // unit.price.minor
    quantity = min(wanted, fits, QUANTITY_MAX, AMOUNT_MICRO_MAX // unit.credits.micro)
    if quantity < 1:
        return None
    return Purchase(
        quantity=quantity,
        credits=Credits(unit.credits.micro * quantity),
        price=Money(unit.price.minor * quantity, unit.price.currency),
    )


def of_credits(terms: TopUpTerms, rate: Rate, missing_micro: int, left: Money) -> Purchase | None:
    """The same for credits at a rate: the credits are those of the money that is charged.

    Money is rounded up to whole units, but not beyond the credits that a wallet may be given at once.
    """
    assert terms.credits is not None
    most = min(left.minor, MINOR_MAX, AMOUNT_MICRO_MAX * rate.price.minor // rate.credits.micro)
    wanted = rate.price_of(Credits(min(max(terms.credits.micro, missing_micro), AMOUNT_MICRO_MAX)))
    if wanted.minor > most:
        step = 10 if wanted.exponent == 3 else 1
        wanted = Money(most // step * step, wanted.currency)
    if wanted.minor < 1 or wanted.minor * rate.credits.micro < rate.price.minor:
        return None
    return Purchase(quantity=1, credits=rate.credits_for(wanted), price=wanted)


def month_start(now: datetime) -> datetime:
    """When the month of UTC began whose cap counts."""
    return now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(now: datetime) -> datetime:
    """When the next month of UTC begins."""
    return month_start(month_start(now) + timedelta(days=32))


@dataclass(frozen=True, slots=True, kw_only=True)
class Setback:
    """What a failed charge means for its rule."""

    declines: int
    not_before: datetime
    stopped: StopReason | None


def after_failure(rule: TopUpRule, code: str | None, now: datetime) -> Setback:
    """Wait longer each time, and stop: at once after a final code, else after ``DECLINES_MAX`` in a row.

    What was no decline is not counted, and tried again after a while.
    """
    if code in NO_DECLINES:
        return Setback(declines=rule.declines, not_before=now + _WAITS[0], stopped=None)
    declines = rule.declines + 1
    if code == StopReason.NO_SAVED_CARD:
        return Setback(declines=rule.declines, not_before=now, stopped=StopReason.NO_SAVED_CARD)
    if code in FINAL_DECLINES:
        return Setback(declines=declines, not_before=now, stopped=StopReason.CARD_REFUSED)
    if declines >= DECLINES_MAX:
        return Setback(declines=declines, not_before=now, stopped=StopReason.DECLINED_TOO_OFTEN)
    return Setback(declines=declines, not_before=now + _WAITS[declines - 1], stopped=None)

"""A subscription: how far it is, what Stripe reports about it, and when a change of its plan takes effect. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from uuid import UUID

from tallybook.domain.errors import PlanChangeUnsupportedError
from tallybook.domain.money import Money


class SubscriptionStatus(StrEnum):
    """How far a subscription is: the first three are ours, the others are Stripe's words.

    https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses
    """

    INTENDED = "intended"
    OPEN = "open"
    ABANDONED = "abandoned"
    INCOMPLETE = "incomplete"
    INCOMPLETE_EXPIRED = "incomplete_expired"
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    UNPAID = "unpaid"
    PAUSED = "paused"
    CANCELED = "canceled"

    @property
    def has_ended(self) -> bool:
        """Whether nothing can come of it any more."""
        return self in _ENDED

    @property
    def is_attempt(self) -> bool:
        """Whether nothing was paid yet and nothing runs: another attempt may take its place."""
        return self in _ATTEMPTS

    @property
    def lives(self) -> bool:
        """Whether it runs at Stripe, paid or not."""
        return not self.has_ended and not self.is_attempt


_ENDED = (
    SubscriptionStatus.ABANDONED,
    SubscriptionStatus.INCOMPLETE_EXPIRED,
    SubscriptionStatus.CANCELED,
)
_ATTEMPTS = (SubscriptionStatus.INTENDED, SubscriptionStatus.OPEN, SubscriptionStatus.INCOMPLETE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What was asked for; a retry under the same key must ask for the same."""

    user_id: int
    lookup_key: str
    quantity: int
    payment_method_id: str | None = None
    promotion_code: str | None = None

    def digest(self) -> bytes:
        """Equal for equal terms; without a code it is what it was before there were any."""
        code = () if self.promotion_code is None else (self.promotion_code,)
        return digest_of(self.user_id, self.lookup_key, self.quantity, self.payment_method_id, *code)


def digest_of(*parts: str | int | None) -> bytes:
    """Equal for equal parts."""
    return hashlib.sha256(json.dumps(parts).encode()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionReport:
    """A subscription as Stripe has it right now; ``price`` is what one costs for each period.

    ``our_id`` is what its metadata say of ours, ``deployment`` of which database; both are hints only.
    ``next_price_id`` and ``next_quantity`` are what its schedule brings with the next period, if it has one.
    """

    id: str
    customer_id: str
    status: SubscriptionStatus
    item_id: str
    price_id: str
    price: Money | None
    quantity: int
    period_start: datetime
    period_end: datetime
    trial_start: datetime | None
    trial_end: datetime | None
    cancel_at_period_end: bool
    cancel_at: datetime | None
    canceled_at: datetime | None
    ended_at: datetime | None
    collection_paused: bool
    resumes_at: datetime | None
    latest_invoice_id: str | None
    livemode: bool
    our_id: str | None
    deployment: str | None
    created: datetime
    schedule_id: str | None = None
    next_price_id: str | None = None
    next_quantity: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A subscription as it is in our books.

    ``lookup_key`` is the plan that it is for at Stripe, ``paid_lookup_key`` the one that the running period was paid
    for, ``next_lookup_key`` the one that a schedule brings with the next period; ``price`` is what one costs for each
    period, ``next_amount_minor`` what one will.
    """

    subscription_id: int
    intent_id: UUID
    user_id: int
    wallet_id: int
    app_id: int
    terms: bytes | None
    checkout_id: int | None
    plan_family: str
    holds_family: bool
    status: SubscriptionStatus
    attempt: int
    stripe_customer_id: str | None
    stripe_subscription_id: str | None
    stripe_item_id: str | None
    stripe_price_id: str
    stripe_promotion_code_id: str | None
    lookup_key: str
    product_name: str
    quantity: int
    price: Money
    trial_days: int | None
    paid_lookup_key: str | None
    paid_price_id: str | None
    paid_quantity: int | None
    paid_from: datetime | None
    stripe_schedule_id: str | None
    next_lookup_key: str | None
    next_price_id: str | None
    next_quantity: int | None
    next_amount_minor: int | None
    current_period_start: datetime | None
    current_period_end: datetime | None
    trial_end: datetime | None
    cancel_at_period_end: bool
    cancel_at: datetime | None
    canceled_at: datetime | None
    ended_at: datetime | None
    collection_paused: bool
    resumes_at: datetime | None
    latest_invoice_id: str | None
    created_at: datetime
    updated_at: datetime

    @property
    def period_is_paid(self) -> bool:
        """Whether the running period was paid for, by the plan that ``paid_lookup_key`` names."""
        begins, paid_from = self.current_period_start, self.paid_from
        return paid_from is not None and begins is not None and paid_from >= begins

    @property
    def item_waits(self) -> bool:
        """Whether it is for a smaller plan already than the running period was paid for."""
        item = (self.lookup_key, self.quantity)
        return self.period_is_paid and (self.paid_lookup_key, self.paid_quantity) != item

    @property
    def coming(self) -> tuple[str, int, Money]:
        """What the next period is billed for: the plan, how many, and what one costs."""
        if self.next_lookup_key is None or self.next_quantity is None or self.next_amount_minor is None:
            return self.lookup_key, self.quantity, self.price
        return self.next_lookup_key, self.next_quantity, Money(self.next_amount_minor, self.price.currency)

    @property
    def pending_lookup_key(self) -> str | None:
        """The plan that begins with the next period, if another one was chosen than what runs."""
        if self.next_lookup_key is not None:
            return self.next_lookup_key
        return self.lookup_key if self.item_waits else None


_DAYS = {"day": Fraction(1), "week": Fraction(7), "month": Fraction(365, 12), "year": Fraction(365)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPrice:
    """So many of a plan at a price for each interval: what is compared when a plan is changed."""

    lookup_key: str
    quantity: int
    price: Money
    interval: str

    @property
    def total(self) -> int:
        """What all of it costs for each interval, in minor units."""
        return self.price.minor * self.quantity


class Effect(StrEnum):
    """When a change of plan takes effect, and who pays what for it.

    ``now``: the difference for the rest of the period is charged at once, and its credits come with that payment.
    ``next_period``: nothing is charged and nothing given back; the next period is billed at the new plan.
    ``undone``: the plan that this period was paid for is taken up again, for nothing.
    """

    NOW = "now"
    NEXT_PERIOD = "next_period"
    UNDONE = "undone"


def effect_of_change(paid: PlanPrice, wanted: PlanPrice, *, trialing: bool, may_wait: bool = False) -> Effect:
    """When a change from what is paid for takes effect.

    Dearer is an upgrade and is charged now; a longer interval too, unless it ``may_wait``. Everything else waits for
    the next period, so that going down and up again brings neither money nor credits.

    Raises:
        PlanChangeUnsupportedError: another currency.
    """
    if paid.price.currency != wanted.price.currency:
        raise PlanChangeUnsupportedError("A plan cannot be changed to one in another currency.")
    if (wanted.lookup_key, wanted.quantity) == (paid.lookup_key, paid.quantity):
        return Effect.UNDONE
    if trialing or may_wait or _DAYS[wanted.interval] < _DAYS[paid.interval]:
        return Effect.NEXT_PERIOD
    longer = _DAYS[wanted.interval] > _DAYS[paid.interval]
    return Effect.NOW if longer or wanted.total > paid.total else Effect.NEXT_PERIOD

"""A payment that we start ourselves with a payment intent, and the one judgement of what Stripe says of it. Pure.

Those of the payment form wait for the customer; those of auto top-up are charged to a saved card.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tallybook.domain.money import Credits, Money
from tallybook.domain.payments.payments import Source

AUTHENTICATION_REQUIRED = "authentication_required"
"""What a bank says that wants to see the customer: https://docs.stripe.com/declines/codes."""


class IntentStatus(StrEnum):
    """How far it is. ``succeeded`` is final; ``failed`` and ``canceled`` are, unless money comes after all."""

    INTENDED = "intended"
    OPEN = "open"
    PROCESSING = "processing"
    NEEDS_ACTION = "needs_action"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


IN_FLIGHT = (IntentStatus.INTENDED, IntentStatus.OPEN, IntentStatus.PROCESSING, IntentStatus.NEEDS_ACTION)
"""Money may still come of it: a wallet has at most one top-up in these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentTerms:
    """What was asked for; a retry under the same key must ask for the same."""

    user_id: int
    lookup_key: str | None
    quantity: int
    amount_minor: int | None
    currency: str
    saves_method: bool

    def digest(self) -> bytes:
        """Equal for equal terms."""
        parts = [
            self.user_id,
            self.lookup_key,
            self.quantity,
            self.amount_minor,
            self.currency,
            self.saves_method,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentIntent:
    """A payment intent as it is in our books: price and credits are bound, whatever the catalogue says later.

    ``price`` and ``credits`` are for the whole quantity. ``app_id`` is who started it. ``failure_code`` is the bank's,
    or Stripe's, last word.
    """

    number: int
    intent_id: UUID
    source: Source
    user_id: int
    wallet_id: int
    app_id: int
    terms: bytes
    lookup_key: str | None
    quantity: int
    description: str
    credits: Credits
    price: Money
    saves_method: bool
    status: IntentStatus
    attempt: int
    stripe_id: str | None
    stripe_customer_id: str | None
    stripe_payment_method_id: str | None
    failure_code: str | None
    granted_version: int | None
    created_at: datetime
    updated_at: datetime

    @property
    def idempotency_key(self) -> str:
        """What Stripe knows this attempt by: the row and the attempt, never an amount or a time."""
        return f"payment_intent:{self.intent_id}:{self.attempt}"

    @property
    def grant_key(self) -> str:
        """The business key under which its credits are posted, once and for ever."""
        assert self.stripe_id is not None
        return f"stripe:payment_intent:{self.stripe_id}:grant"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentIntentReport:
    """A payment intent as Stripe has it right now; amounts in minor units of ``currency``.

    ``failure_code`` is the decline code of the last refusal, or its code. ``client_secret`` lets a browser pay it, and
    is never stored. ``redirect_url`` is where the bank wants to see the customer.
    """

    id: str
    status: str
    amount: int
    amount_received: int
    amount_refunded: int
    charge_refunded: bool
    currency: str
    customer_id: str | None
    payment_method_id: str | None
    failure_code: str | None
    livemode: bool
    metadata: Mapping[str, str]
    client_secret: str | None
    redirect_url: str | None
    receipt_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentJudgement:
    """What to do about a report: the status to write down, whether to grant, and the outcome in a word."""

    status: IntentStatus
    grants: bool
    outcome: str


def judge_intent(found: PaymentIntent, report: PaymentIntentReport, *, livemode: bool) -> IntentJudgement:
    """What Stripe's report about our payment intent means; says nothing about events, so order does not matter."""
    if found.status is IntentStatus.SUCCEEDED:
        return IntentJudgement(status=found.status, grants=False, outcome="already_granted")
    fault = _mismatch(found, report, livemode=livemode)
    if fault is not None:
        return IntentJudgement(status=found.status, grants=False, outcome=f"mismatch_{fault}")
    if report.status == "succeeded":
        return _judge_paid(report)
    status = _standing(found, report)
    return IntentJudgement(status=status, grants=False, outcome=str(status))


def _judge_paid(report: PaymentIntentReport) -> IntentJudgement:
    """Paid, but not if all of it went back before the grant."""
    if report.charge_refunded or report.amount_received <= report.amount_refunded:
        return IntentJudgement(status=IntentStatus.FAILED, grants=False, outcome="refunded")
    outcome = "granted_partly_refunded" if report.amount_refunded else "granted"
    return IntentJudgement(status=IntentStatus.SUCCEEDED, grants=True, outcome=outcome)


def _standing(found: PaymentIntent, report: PaymentIntentReport) -> IntentStatus:
    """Where an unpaid intent stands: https://docs.stripe.com/payments/paymentintents/lifecycle."""
    if found.status in (IntentStatus.FAILED, IntentStatus.CANCELED):
        # Only money that came after all changes that.
        return found.status
    if report.status == "canceled":
        return IntentStatus.CANCELED
    if report.status == "processing":
        return IntentStatus.PROCESSING
    if report.status == "requires_action":
        return IntentStatus.NEEDS_ACTION
    if found.source is not Source.TOP_UP:
        # The customer is there, and tries again with another card.
        return IntentStatus.OPEN
    if report.failure_code == AUTHENTICATION_REQUIRED:
        return IntentStatus.NEEDS_ACTION
    if found.status is IntentStatus.NEEDS_ACTION and report.failure_code is not None:
        # The customer did not pass the bank's check; they may once more, until it is given up.
        return IntentStatus.NEEDS_ACTION
    return IntentStatus.FAILED if report.failure_code is not None else found.status


def _mismatch(found: PaymentIntent, report: PaymentIntentReport, *, livemode: bool) -> str | None:
    """The first thing in which the report is not about what we sold."""
    paid = report.status == "succeeded"
    checks = {
        "intent": report.id == found.stripe_id,
        "livemode": report.livemode == livemode,
        "customer": report.customer_id == found.stripe_customer_id,
        "currency": report.currency == found.price.currency,
        "amount": report.amount == found.price.minor
        and (not paid or report.amount_received == found.price.minor),
    }
    return next((name for name, good in checks.items() if not good), None)

"""A checkout, and the one judgement of what Stripe's report about it means. Pure; effects are the use case's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tallybook.domain.money import Credits, Money
from tallybook.domain.payments.reports import SessionReport, SessionView

QUANTITY_MAX = 1000
PAID = ("paid", "no_payment_required")
"""The two payment states in which Stripe says to fulfil: https://docs.stripe.com/api/checkout/sessions/object."""

# What a payment intent is in once a delayed payment has failed; before, it is "processing".
_FAILED_PAYMENTS = ("requires_payment_method", "canceled")


class Status(StrEnum):
    """How far a checkout is; ``paid`` is final, the others follow what Stripe reports.

    ``failed`` is also a payment that was given back before its credits were granted.
    """

    INTENDED = "intended"
    OPEN = "open"
    PROCESSING = "processing"
    PAID = "paid"
    FAILED = "failed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What was asked for; a retry under the same key must ask for the same."""

    user_id: int
    lookup_key: str
    mode: str
    quantity: int
    success_url: str
    cancel_url: str
    currency: str | None = None

    def digest(self) -> bytes:
        """Equal for equal terms; without a currency it is what it was before there were several."""
        parts = [
            self.user_id,
            self.lookup_key,
            self.mode,
            self.quantity,
            self.success_url,
            self.cancel_url,
            *([] if self.currency is None else [self.currency]),
        ]
        return hashlib.sha256(json.dumps(parts).encode()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A checkout as it is in our books: the terms are bound, whatever the catalogue says later.

    ``price`` and ``credits`` are for the whole quantity; ``granted_version`` is the transfer that brought them.
    ``stripe_customer_id`` is whom the session was opened for; the user may have become another customer since.
    ``payment_status`` and ``session_metadata`` are what Stripe said when ``status`` last changed.
    """

    checkout_id: int
    intent_id: UUID
    user_id: int
    wallet_id: int
    app_id: int
    terms: bytes
    mode: str
    lookup_key: str
    product_name: str
    stripe_price_id: str
    quantity: int
    credits: Credits
    price: Money
    success_url: str
    cancel_url: str
    status: Status
    attempt: int
    stripe_session_id: str | None
    stripe_customer_id: str | None
    url: str | None
    paid_minor: int | None
    payment_status: str | None
    session_metadata: Mapping[str, str]
    granted_version: int | None
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None

    @property
    def grant_key(self) -> str:
        """The business key under which its credits are posted, once and for ever."""
        assert self.stripe_session_id is not None
        return f"stripe:checkout_session:{self.stripe_session_id}:grant"

    @property
    def paid_view(self) -> SessionView:
        """What its customer is told once it is paid: that is final, so Stripe need not be asked."""
        assert self.status is Status.PAID, self.checkout_id
        assert self.stripe_session_id is not None
        assert self.payment_status is not None
        return SessionView(
            id=self.stripe_session_id,
            status="complete",
            payment_status=self.payment_status,
            amount_total=self.paid_minor,
            currency=self.price.currency,
            metadata=self.session_metadata,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A checkout that waits for its customer; ``replayed`` says that the key had opened it before."""

    checkout: Checkout
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What to do about a report: the status to write down, whether to grant, and the outcome in a word."""

    status: Status
    grants: bool
    outcome: str


def judge(checkout: Checkout, report: SessionReport, *, livemode: bool) -> Judgement:
    """What Stripe's report about our session means; says nothing about events, so order does not matter."""
    if checkout.status is Status.PAID:
        return Judgement(status=Status.PAID, grants=False, outcome="already_granted")
    fault = _mismatch(checkout, report, livemode=livemode)
    if fault is not None:
        return Judgement(status=checkout.status, grants=False, outcome=f"mismatch_{fault}")
    if report.status == "expired":
        return Judgement(status=Status.EXPIRED, grants=False, outcome="expired")
    if report.status != "complete":
        return Judgement(status=checkout.status, grants=False, outcome="not_paid")
    if report.payment_status in PAID:
        if checkout.mode == "subscription":
            # Credits of a plan come with its invoices, and from nowhere else.
            return Judgement(status=Status.PAID, grants=False, outcome="subscribed")
        return _judge_paid(report)
    if report.payment_intent_status in _FAILED_PAYMENTS:
        return Judgement(status=Status.FAILED, grants=False, outcome="payment_failed")
    return Judgement(status=Status.PROCESSING, grants=False, outcome="not_paid")


def _judge_paid(report: SessionReport) -> Judgement:
    """Paid, but not if all of it was refunded before the grant; what went back in part is taken back with the grant.

    A session stays ``paid`` whatever is refunded; its charge says so: https://docs.stripe.com/api/charges/object.
    """
    if 0 < (report.amount_total or 0) <= report.amount_refunded:
        return Judgement(status=Status.FAILED, grants=False, outcome="refunded")
    outcome = "granted_partly_refunded" if report.amount_refunded else "granted"
    return Judgement(status=Status.PAID, grants=True, outcome=outcome)


def _mismatch(checkout: Checkout, report: SessionReport, *, livemode: bool) -> str | None:
    """The first thing in which the report is not about what we sold."""
    checks = {
        "session": report.id == checkout.stripe_session_id,
        "livemode": report.livemode == livemode,
        "mode": report.mode == checkout.mode,
        "customer": report.customer_id == checkout.stripe_customer_id,
        "currency": report.currency == checkout.price.currency,
        # Nothing follows from a plan's session, whose trial costs nothing: each of its invoices is judged by itself.
        "amount": checkout.mode == "subscription" or _costs_what_we_said(checkout, report),
    }
    return next((name for name, good in checks.items() if not good), None)


def _costs_what_we_said(checkout: Checkout, report: SessionReport) -> bool:
    """The price that was bound, less a discount, with tax on top of the rest or inside it; not one unit otherwise."""
    discount, tax = report.amount_discount, report.amount_tax
    if report.amount_subtotal != checkout.price.minor or not 0 <= discount <= checkout.price.minor or tax < 0:
        return False
    rest = checkout.price.minor - discount
    return report.amount_total == rest + tax or (report.amount_total == rest and tax <= rest)

"""What the service answers about subscriptions, as frozen dataclasses (see ``answers.py``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionInvoice:
    """An invoice of a subscription, and the credits that it brought or took back."""

    id: str
    number: str | None = None
    status: str
    billing_reason: str | None = None
    amount_due_minor: int
    amount_paid_minor: int
    currency: str
    outcome: str
    granted_micro: int
    taken_back_micro: int
    next_payment_attempt_at: datetime | None = None
    hosted_invoice_url: str | None = None
    created_at: datetime
    net_minor: int | None = None
    tax_minor: int | None = None
    total_minor: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A plan that a customer pays for in periods, as Stripe said last.

    ``plan`` is billed next; ``pending_plan`` says so when the running period was paid for as ``paid_plan``.
    ``client_secret`` comes when it is begun, ``invoices`` when it is looked at.
    """

    id: str
    status: str
    plan: str
    user_id: int
    quantity: int
    amount_minor: int
    currency: str
    cancel_at_period_end: bool
    paused: bool
    created_at: datetime
    stripe_subscription_id: str | None = None
    pending_plan: str | None = None
    pending_from: datetime | None = None
    paid_plan: str | None = None
    current_period_start: datetime | None = None
    current_period_end: datetime | None = None
    trial_end: datetime | None = None
    canceled_at: datetime | None = None
    ended_at: datetime | None = None
    resumes_at: datetime | None = None
    client_secret: str | None = field(default=None, repr=False)
    invoices: tuple[SubscriptionInvoice, ...] = ()
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPreview:
    """What a change would charge and bring at once; ``effect`` is ``now``, ``next_period`` or ``undone``."""

    effect: str
    plan: str
    quantity: int
    charged_minor: int
    credits_micro: int
    next_period_minor: int
    currency: str
    proration_date: datetime | None = None

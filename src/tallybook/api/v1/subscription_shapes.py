"""How subscriptions, their invoices and previews look to callers of the native API."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import Field

from tallybook.api.deps import Shape
from tallybook.domain.ids import plain_id
from tallybook.domain.payments.invoices import KnownInvoice
from tallybook.domain.payments.subscriptions import Subscription
from tallybook.usecases.subscriptions.plans import Preview


class SubscriptionShape(Shape):
    """A subscription as Stripe said last; amounts in the smallest unit of the currency, for one and a period."""

    id: str = Field(examples=["sbs_1"])
    stripe_subscription_id: str | None = Field(examples=["sub_123"])
    user_id: int
    status: Literal[
        "intended", "open", "abandoned", "incomplete", "incomplete_expired", "trialing", "active", "past_due",
        "unpaid", "paused", "canceled",
    ]  # fmt: skip
    plan: str = Field(description="What the next period is billed for.", examples=["plan_professional"])
    pending_plan: str | None = Field(
        description="The same, if the running period was paid for as another one.", examples=[None]
    )
    pending_from: datetime | None = Field(description="When it begins.", examples=[None])
    paid_plan: str | None = Field(
        description="What the running period was paid for.", examples=["plan_professional"]
    )
    quantity: int
    amount_minor: int = Field(examples=[2999])
    currency: str = Field(examples=["usd"])
    current_period_start: datetime | None
    current_period_end: datetime | None
    trial_end: datetime | None
    cancel_at_period_end: bool
    canceled_at: datetime | None
    ended_at: datetime | None
    paused: bool
    resumes_at: datetime | None
    created_at: datetime

    @classmethod
    def from_domain(cls, found: Subscription) -> Self:
        """As callers see it."""
        return cls(**facts(found))


def facts(found: Subscription) -> dict[str, Any]:
    """What callers see of a subscription, by name."""
    plan, quantity, price = found.coming
    pending = found.pending_lookup_key
    return {
        "id": plain_id("sbs", found.subscription_id),
        "stripe_subscription_id": found.stripe_subscription_id,
        "user_id": found.user_id,
        "status": found.status.value,
        "plan": plan,
        "pending_plan": pending,
        "pending_from": None if pending is None else found.current_period_end,
        "paid_plan": found.paid_lookup_key if found.period_is_paid else None,
        "quantity": quantity,
        "amount_minor": price.minor,
        "currency": price.currency,
        "current_period_start": found.current_period_start,
        "current_period_end": found.current_period_end,
        "trial_end": found.trial_end,
        "cancel_at_period_end": found.cancel_at_period_end,
        "canceled_at": found.canceled_at,
        "ended_at": found.ended_at,
        "paused": found.collection_paused or found.status == "paused",
        "resumes_at": found.resumes_at,
        "created_at": found.created_at,
    }


class BegunShape(SubscriptionShape):
    """A subscription that waits for its first payment; the secret is for Stripe's form in the browser."""

    client_secret: str | None = Field(examples=["pi_123_secret_456"])


class InvoiceShape(Shape):
    """An invoice of a subscription, and the credits that it brought or took back."""

    id: str = Field(examples=["in_123"])
    number: str | None
    status: str = Field(examples=["paid"])
    billing_reason: str | None = Field(examples=["subscription_cycle"])
    net_minor: int = Field(description="The total without its tax.")
    tax_minor: int
    total_minor: int
    amount_due_minor: int
    amount_paid_minor: int
    currency: str
    outcome: str = Field(examples=["granted"])
    granted_micro: int
    taken_back_micro: int
    next_payment_attempt_at: datetime | None
    hosted_invoice_url: str | None
    created_at: datetime

    @classmethod
    def from_domain(cls, known: KnownInvoice) -> Self:
        """As callers see it."""
        return cls(
            id=known.stripe_invoice_id,
            number=known.number,
            status=known.status,
            billing_reason=known.billing_reason,
            net_minor=known.total_minor - known.tax_minor,
            tax_minor=known.tax_minor,
            total_minor=known.total_minor,
            amount_due_minor=known.amount_due_minor,
            amount_paid_minor=known.amount_paid_minor,
            currency=known.currency,
            outcome=known.outcome,
            granted_micro=known.granted.micro,
            taken_back_micro=known.taken_back.micro,
            next_payment_attempt_at=known.next_payment_attempt_at,
            hosted_invoice_url=known.hosted_invoice_url,
            created_at=known.stripe_created,
        )


class DetailShape(SubscriptionShape):
    """A subscription with its newest invoices."""

    invoices: list[InvoiceShape]


class SubscriptionList(Shape):
    """The subscriptions of a user, newest first."""

    data: list[SubscriptionShape]
    has_more: bool = False
    next_cursor: str | None = None


class PreviewShape(Shape):
    """What a change would do: ``charged_minor`` and ``credits_micro`` at once, ``next_period_minor`` from then on."""

    effect: Literal["now", "next_period", "undone"]
    plan: str
    quantity: int
    charged_minor: int
    credits_micro: int
    next_period_minor: int
    currency: str
    proration_date: datetime | None = Field(description="Send it with the change, and that costs just this.")

    @classmethod
    def from_domain(cls, found: Preview) -> Self:
        """As callers see it."""
        return cls(
            effect=found.effect.value,
            plan=found.lookup_key,
            quantity=found.quantity,
            charged_minor=found.charged.minor,
            credits_micro=found.credits.micro,
            next_period_minor=found.next_period.minor,
            currency=found.charged.currency,
            proration_date=found.proration_date,
        )

"""What the service answers about payments and refunds; see ``answers.py``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment; ``refundable_minor`` is what refunds and disputes have left of it.

    ``total_minor`` is ``net_minor`` and ``tax_minor`` together; of it, ``amount_minor`` was paid in money.
    """

    id: str
    wallet: str
    source: str
    stripe_reference: str
    description: str
    amount_minor: int
    currency: str
    credits_micro: int
    refunded_minor: int
    disputed_minor: int
    refundable_minor: int
    taken_back_micro: int
    paid_at: datetime
    user_id: int | None = None
    product: str | None = None
    receipt_url: str | None = None
    net_minor: int | None = None
    tax_minor: int | None = None
    total_minor: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """A refund as Stripe has it."""

    id: str
    amount_minor: int
    currency: str
    status: str
    created_at: datetime
    reason: str | None = None
    failure_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A dispute as Stripe has it."""

    id: str
    amount_minor: int
    currency: str
    status: str
    reason: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WholePayment(Payment):
    """A payment with the lots that it brought and all that went back of it."""

    lots: tuple[str, ...]
    refunds: tuple[Refund, ...]
    disputes: tuple[Dispute, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundPreview:
    """What a refund would take: first the payment's own credits, then others; what is missing becomes debt."""

    amount_minor: int
    currency: str
    credits_micro: int
    from_payment_micro: int
    from_others_micro: int
    debt_micro: int
    held_micro: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeRefund(Refund):
    """A refund that was asked for, and its payment after it."""

    payment: Payment
    replayed: bool = False

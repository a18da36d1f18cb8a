"""What Stripe reports, in our words: sessions, prices, events. Plain values; no Stripe type gets past the edge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from tallybook.domain.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """What a customer is told about their Checkout Session; ``amount_total`` in minor units of ``currency``."""

    id: str
    status: str | None
    payment_status: str
    amount_total: int | None
    currency: str | None
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionReport:
    """A Checkout Session as Stripe has it right now; amounts in minor units of ``currency``.

    ``amount_refunded``, ``charge_disputed`` and ``receipt_url`` are those of the payment's latest charge: a session
    says ``paid`` also after its money went back.
    """

    id: str
    mode: str
    status: str | None
    payment_status: str
    amount_subtotal: int | None
    amount_total: int | None
    amount_discount: int
    amount_tax: int
    currency: str | None
    customer_id: str | None
    payment_intent_id: str | None
    payment_intent_status: str | None
    amount_refunded: int
    charge_disputed: bool
    receipt_url: str | None
    livemode: bool
    metadata: Mapping[str, str]
    url: str | None
    expires_at: datetime
    subscription_id: str | None = None
    created: datetime | None = None

    @property
    def view(self) -> SessionView:
        """The part of it that its customer is told."""
        return SessionView(
            id=self.id,
            status=self.status,
            payment_status=self.payment_status,
            amount_total=self.amount_total,
            currency=self.currency,
            metadata=self.metadata,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceReport:
    """A price at Stripe, with what its product says to buyers."""

    id: str
    product_id: str
    product_name: str
    product_description: str | None
    price: Money | None
    interval: str | None
    lookup_key: str | None
    active: bool
    tax_behavior: str = "unspecified"
    tax_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointReport:
    """A webhook endpoint at Stripe; without a version of its own it gets the account's."""

    id: str
    url: str
    enabled: bool
    api_version: str | None
    event_types: frozenset[str]
    deployment: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountReport:
    """Whose Stripe account the secret key belongs to."""

    account_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedEvent:
    """A webhook whose signature was good; the body is a hint only, objects are fetched afresh.

    ``signed_by`` are the places, among the secrets that were tried, of those that signed it.
    """

    event_id: str
    type: str
    api_version: str | None
    livemode: bool
    account_id: str | None
    object_id: str | None
    customer_id: str | None
    created: datetime
    raw: bytes
    signed_by: tuple[int, ...]

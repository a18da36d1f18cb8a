"""What the service answers about cards, as frozen dataclasses (see ``answers.py``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentIntent:
    """A payment in the payment form, or by auto top-up; credits arrive once Stripe says that it succeeded.

    ``source`` is ``payment_form`` or ``top_up``; ``status`` is ``intended``, ``open``, ``processing``,
    ``needs_action``, ``succeeded``, ``failed`` or ``canceled``. With ``client_secret`` and ``publishable_key`` a
    browser pays; ``redirect_url`` is where to send a customer whose bank wants to see them.
    """

    id: str
    source: str
    status: str
    user_id: int
    quantity: int
    credits_micro: int
    amount_minor: int
    currency: str
    created_at: datetime
    updated_at: datetime
    product: str | None = None
    failure_code: str | None = None
    stripe_payment_intent_id: str | None = None
    transfer: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    publishable_key: str | None = None
    redirect_url: str | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupIntent:
    """A form in which a customer saves a card; a browser finishes it with ``client_secret``."""

    stripe_setup_intent_id: str
    status: str
    client_secret: str | None = field(default=None, repr=False)
    publishable_key: str | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedMethod:
    """A saved card, or another method that can be charged again."""

    id: str
    type: str
    is_default: bool
    brand: str | None = None
    last4: str | None = None
    exp_month: int | None = None
    exp_year: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUp:
    """A rule for auto top-up; ``stopped`` says why nothing is charged until the customer does something."""

    wallet: str
    user_id: int
    enabled: bool
    threshold_micro: int
    quantity: int
    monthly_cap_minor: int
    charged_minor: int
    currency: str
    declines: int
    not_before: datetime
    updated_at: datetime
    product: str | None = None
    credits_micro: int | None = None
    stopped: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalSession:
    """A link into Stripe's customer portal, for one visit."""

    url: str
    replayed: bool = False

"""What the service answers, as frozen dataclasses.

Fields ending in ``_micro`` are micro-credits (1 credit = 1,000,000), in ``_minor`` minor units of
``currency`` (cents for USD, yen for JPY). Times are aware UTC. Secrets do not show in ``repr``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar

from credit_sdk.amounts import credits_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """A page of a list; pass ``next_cursor`` as ``after`` to read on."""

    data: tuple[T, ...]
    has_more: bool = False
    next_cursor: str | int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Balances:
    """A wallet's balances; ``version`` is the number of its newest transfer."""

    available_micro: int
    held_micro: int
    debt_micro: int
    version: int

    @property
    def available(self) -> int | Decimal:
        """What can be spent now, in credits: an int when whole, else a Decimal."""
        return credits_of(self.available_micro)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose wallet it is; ``kind`` is ``user`` or ``organisation``."""

    kind: str
    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet(Balances):
    """A wallet as it is now."""

    id: str
    owner: Owner
    created_at: datetime
    updated_at: datetime
    frozen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedTransfer:
    """A transfer just posted; ``replayed`` when the same key had been answered before, with this answer.

    ``pending``: the service is away and the credits were taken from the client's lease (``FailOpen``).
    Then ``id`` names the line of the outbox, and ``wallet_after`` is the wallet as it was last heard of.
    """

    id: str
    wallet: str
    kind: str
    amount_micro: int
    wallet_after: Balances
    created_at: datetime
    replayed: bool = False
    pending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """Credits that arrived together, and what is left of them."""

    id: str
    source: str
    amount_micro: int
    available_micro: int
    held_micro: int
    priority: int
    created_at: datetime
    expires_at: datetime | None = None
    price_minor: int | None = None
    currency: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """One line of a wallet's history."""

    id: str
    wallet: str
    kind: str
    debit: str
    credit: str
    amount_micro: int
    wallet_after: Balances
    created_at: datetime
    hold: str | None = None
    idempotency_key: str | None = None
    description: str | None = None
    service: str | None = None
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedHold:
    """A hold just placed; ``wallet_after`` is None for whoever carries a hold token."""

    id: str
    transfer: str
    wallet: str
    amount_micro: int
    wallet_after: Balances | None
    created_at: datetime
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledHold:
    """A capture or a release just posted; ``wallet_after`` is None for whoever carries a hold token."""

    transfer: str
    hold: str
    wallet: str
    captured_micro: int
    released_micro: int
    wallet_after: Balances | None
    created_at: datetime
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldToken:
    """A token of a hold, for ``Client(url, hold_token=…)`` of a sub-agent."""

    hold: str
    token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A hold as it is now; ``status`` is ``open`` or ``settled``, ``settled_by`` how (``expiry``: left behind)."""

    id: str
    wallet: str
    status: str
    placed_micro: int
    captured_micro: int
    released_micro: int
    remaining_micro: int
    on_expiry: str
    expires_at: datetime
    placed_at: datetime
    settled_at: datetime | None = None
    parent: str | None = None
    delegated_micro: int = 0
    settled_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A purchase: send the customer to ``url``; credits arrive once Stripe says that it is paid.

    ``status`` is ``intended``, ``open``, ``processing``, ``paid``, ``failed`` or ``expired``;
    ``transfer`` names the transfer that brought the credits.
    """

    id: str
    status: str
    user_id: int
    product: str
    quantity: int
    credits_micro: int
    amount_minor: int
    currency: str
    created_at: datetime
    url: str | None = None
    stripe_session_id: str | None = None
    transfer: str | None = None
    expires_at: datetime | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person with an account; ``role`` is ``customer`` or ``admin``."""

    user_id: int
    email: str
    role: str
    is_active: bool
    created_at: datetime
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A signed-in user; ``expires_in`` is the life of the session token in seconds."""

    session_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    token_type: str
    user: User
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """A program that shares the login and the wallets."""

    app_id: str
    name: str
    domain: str
    permissions: tuple[str, ...]
    requires_api_key: bool
    is_active: bool
    created_at: datetime
    updated_at: datetime
    database_role: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedApp(App):
    """An app just registered, with its first API key: it is shown once."""

    api_key: str = field(repr=False)
    api_key_id: str
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """An API key as it can be shown: its beginning and its life."""

    id: str
    prefix: str
    label: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedApiKey(ApiKey):
    """An API key just made: it is shown once."""

    api_key: str = field(repr=False)
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseLogin:
    """A login for direct SQL, shown once; ``database_url`` is what ``CreditSDK`` takes."""

    role: str
    password: str = field(repr=False)
    database_url: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """Something on sale; ``id`` is its permanent lookup key, ``interval`` is set for plans.

    ``mode`` is ``payment`` or ``subscription``; ``package_id`` is the integer that old clients know
    a package by.
    """

    id: str
    family: str
    name: str
    description: str
    mode: str
    credits_micro: int
    amount_minor: int
    currency: str
    package_id: int | None = None
    badge: str | None = None
    interval: str | None = None
    stripe_price_id: str | None = None

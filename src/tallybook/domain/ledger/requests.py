"""What is asked of the ledger, one value for each request, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from tallybook.domain.ids import LedgerId
from tallybook.domain.money import Credits


class Account(StrEnum):
    """The chart of accounts: three of the wallet, then the house's."""

    AVAILABLE = "available"
    HELD = "held"
    DEBT = "debt"
    PURCHASES = "purchases"
    SUBSCRIPTIONS = "subscriptions"
    PROMOTIONS = "promotions"
    ADJUSTMENTS = "adjustments"
    USAGE = "usage"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    EXPIRED = "expired"


class HoldPolicy(StrEnum):
    """What becomes of a hold that is left behind."""

    RELEASE = "release"
    CAPTURE_ESTIMATE = "capture_estimate"
    CAPTURE_MAXIMUM = "capture_maximum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What people wrote about a transfer; kept beside the ledger, erasable."""

    description: str | None = None
    service: str | None = None
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One request to the ledger, as ``tallybook.posting_request`` in SQL; built by the recipes only."""

    op: str
    wallet_id: int
    app_id: int
    key: str | None
    amount_micro: int | None = None
    house: Account | None = None
    hold_version: int | None = None
    session_user_id: int | None = None
    final: bool | None = None
    lifetime_seconds: int | None = None
    on_expiry: HoldPolicy | None = None
    estimate_micro: int | None = None
    source: str | None = None
    price_minor: int | None = None
    currency: str | None = None
    priority: int | None = None
    lot_expires_at: datetime | None = None
    lot_version: int | None = None
    reference: str | None = None
    budget_id: int | None = None
    parent_version: int | None = None
    undoes_version: int | None = None
    allow_excess: bool | None = None
    description: str | None = None
    service: str | None = None
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the ledger did: the first transfer of the request and the wallet right after its last one.

    All amounts in micro-credits. ``replayed`` says that the same key had been answered before, with this answer.
    ``shows_wallet``: whether whoever asked may know what the wallet has.
    """

    transfer: LedgerId
    kind: str
    amount_micro: int
    released_micro: int
    repaid_micro: int
    owed_micro: int
    available_micro: int
    held_micro: int
    debt_micro: int
    wallet_version: int
    hold: LedgerId | None
    created_at: datetime
    replayed: bool
    shows_wallet: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """A wallet as it is now; amounts in micro-credits."""

    wallet_id: int
    owner_user_id: int | None
    owner_organisation_id: int | None
    available_micro: int
    held_micro: int
    debt_micro: int
    version: int
    owner_is_active: bool
    is_frozen: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Affordability:
    """Whether a user can pay ``required`` now."""

    available: Credits
    required: Credits

    @property
    def sufficient(self) -> bool:
        """Whether what is available covers what is required."""
        return self.available.micro >= self.required.micro

    @property
    def shortfall(self) -> Credits:
        """What is missing; zero when nothing is."""
        return Credits(max(0, self.required.micro - self.available.micro))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A hold as it is now; amounts in micro-credits."""

    id: LedgerId
    app_id: int
    session_user_id: int | None
    placed_micro: int
    captured_micro: int
    released_micro: int
    remaining_micro: int
    delegated_micro: int
    on_expiry: HoldPolicy
    expires_at: datetime
    placed_at: datetime
    settled_at: datetime | None
    settled_by: Literal["capture", "release", "expiry"] | None
    parent: LedgerId | None

    @property
    def left_behind(self) -> bool:
        """Whether nobody settled it in time, so that its policy did."""
        return self.settled_by == "expiry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """Credits that arrived together, and what is left of them; amounts in micro-credits, the price in minor units."""

    id: LedgerId
    source: str
    amount_micro: int
    available_micro: int
    held_micro: int
    priority: int
    expires_at: datetime | None
    price_minor: int | None
    currency: str | None
    reference: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """One line of a wallet's history; amounts in micro-credits."""

    id: LedgerId
    kind: str
    debit: Account
    credit: Account
    amount_micro: int
    available_after: int
    held_after: int
    debt_after: int
    app_id: int
    key: str | None
    hold: LedgerId | None
    description: str | None
    service: str | None
    metadata: Mapping[str, Any] | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A broken promise of the ledger, found by verification."""

    wallet_id: int
    version: int
    check: str
    detail: str

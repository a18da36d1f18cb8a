"""What a customer saved to pay with, as Stripe has it; we keep no copy. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedMethod:
    """A card, or another method that can be charged again; never its number."""

    id: str
    kind: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """A customer's saved methods, newest first, and the one that they named as their default."""

    customer_id: str
    default_id: str | None
    methods: tuple[SavedMethod, ...]

    @property
    def to_charge(self) -> str | None:
        """What to charge while the customer is away: their default, else the only one; nobody guesses among several."""
        known = {method.id for method in self.methods}
        if self.default_id in known:
            return self.default_id
        return self.methods[0].id if len(self.methods) == 1 else None

    def has(self, method_id: str) -> bool:
        """Whether this method is the customer's."""
        return any(method.id == method_id for method in self.methods)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupReport:
    """A setup intent as Stripe has it; ``client_secret`` lets a browser finish it, and is never stored."""

    id: str
    status: str
    customer_id: str | None
    method_id: str | None
    failure_code: str | None
    client_secret: str | None
    metadata: Mapping[str, str]

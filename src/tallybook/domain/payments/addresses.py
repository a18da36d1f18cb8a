"""Where a customer lives, as far as tax needs it: told to Stripe, and kept nowhere here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address; ``country`` is two letters (ISO 3166), ``state`` is needed where each has its own rate."""

    country: str
    postal_code: str | None = None
    state: str | None = None
    city: str | None = None
    line1: str | None = None

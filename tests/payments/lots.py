"""Lots of a payment as the arithmetic of money that comes back sees them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger.requests import Account
from tallybook.domain.money import Credits
from tallybook.domain.payments.money_back import PaymentLot

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
HOUSES = (Account.REFUNDED, Account.DISPUTED)


def a_lot(version: int, micro: int, **known: Any) -> PaymentLot:
    """A lot of which all is left, unless said otherwise."""
    fresh = PaymentLot(
        id=LedgerId(1, version),
        credits=Credits(micro),
        priority=50,
        expires_at=None,
        reference="cs_1",
        brought_micro=micro,
        available_micro=micro,
        held_micro=0,
        expired_micro=0,
        taken_micro=0,
        posted=dict.fromkeys(HOUSES, 0),
        posted_at=dict.fromkeys(HOUSES, NOW),
    )
    return replace(fresh, **known)

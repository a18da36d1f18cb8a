"""Credits that go back for money that an invoice credited to the customer's balance: of which lot, for which. Pure.

Like what refunds make due this is absolute, a function of all invoices that are known: so it does not matter which of
them was heard of first, nor that what an invoice takes back came later than it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tallybook.domain.ids import LedgerId
from tallybook.domain.money import Credits


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """Where an invoice stands among others: by when it was made, in the same second by its number."""

    created: datetime
    number: str
    invoice_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwingInvoice:
    """An invoice that owes credits, and how many of them were taken back so far."""

    place: Place
    owed: Credits
    taken_back: Credits


@dataclass(frozen=True, slots=True, kw_only=True)
class BroughtLot:
    """A lot that an invoice of the same subscription brought, and how many of its credits were returned so far."""

    payment_id: int
    lot: LedgerId
    place: Place
    brought: Credits
    returned: Credits


@dataclass(frozen=True, slots=True, kw_only=True)
class Returns:
    """What is to be returned in all, in micro-credits, of each lot and for each invoice."""

    of_lot: dict[LedgerId, int]
    for_invoice: dict[str, int]


def returns(owing: Sequence[OwingInvoice], lots: Sequence[BroughtLot]) -> Returns:
    """Each invoice takes from the newest lots that invoices up to it brought; no lot returns more than it brought.

    What refunds took of a lot does not count here: of a payment whose credits were returned, they take what is left.
    """
    left = {one.lot: one.brought.micro for one in lots}
    newest = sorted(lots, key=lambda one: (one.place, one.lot), reverse=True)
    taken: dict[str, int] = {}
    for invoice in sorted(owing, key=lambda one: one.place):
        owed = invoice.owed.micro
        for one in newest:
            if one.place < invoice.place:
                part = min(owed, left[one.lot])
                left[one.lot] -= part
                owed -= part
        taken[invoice.place.invoice_id] = invoice.owed.micro - owed
    return Returns(of_lot={one.lot: one.brought.micro - left[one.lot] for one in lots}, for_invoice=taken)

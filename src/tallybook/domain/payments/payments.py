"""A payment that brought credits: what was paid, for how many, and what of it went back. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tallybook.domain.ids import LedgerId
from tallybook.domain.money import Credits, Money


class Source(StrEnum):
    """What was paid; it says what kind of Stripe object a payment's ``reference`` is."""

    CHECKOUT = "checkout"
    INVOICE = "invoice"
    TOP_UP = "top_up"
    PAYMENT_FORM = "payment_form"
    IMPORT = "import"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """A payment as it is written down with its grant, once for each ``reference``; ``lots`` are what it brought.

    ``from_balance_minor`` is what the customer's balance at Stripe paid beside ``price``, ``tax_minor`` its tax.
    """

    wallet_id: int
    user_id: int | None
    source: Source
    reference: str
    stripe_customer_id: str | None
    stripe_payment_intent_id: str | None
    lookup_key: str | None
    description: str
    price: Money
    lots: tuple[tuple[LedgerId, Credits], ...]
    receipt_url: str | None = None
    from_balance_minor: int = 0
    tax_minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment as it is in our books; money in minor units of ``paid.currency``.

    ``from_balance_minor`` is what the customer's balance at Stripe paid beside ``paid``: no refund gives it back.
    ``tax_minor`` is the tax in both, whether it came on top of the price or was inside it.

    ``refunded_minor`` is what refunds gave back, ``disputed_minor`` what open and lost disputes keep; ``refunded`` and
    ``disputed`` are the credits of each, also those that had expired; ``steps`` counts how often credits moved for it.
    """

    payment_id: int
    wallet_id: int
    user_id: int | None
    source: Source
    reference: str
    stripe_customer_id: str | None
    stripe_payment_intent_id: str | None
    lookup_key: str | None
    description: str
    paid: Money
    from_balance_minor: int
    tax_minor: int
    credits: Credits
    refunded_minor: int
    disputed_minor: int
    refunded: Credits
    disputed: Credits
    steps: int
    paid_at: datetime
    receipt_url: str | None

    @property
    def value_minor(self) -> int:
        """What its credits were given for, whoever paid it from where."""
        return self.paid.minor + self.from_balance_minor

    @property
    def net_minor(self) -> int:
        """The same without its tax."""
        return self.value_minor - self.tax_minor

    @property
    def taken_back(self) -> Credits:
        """The credits that were taken back in all."""
        return Credits(self.refunded.micro + self.disputed.micro)

    @property
    def refundable_minor(self) -> int:
        """What refunds and disputes have left of the money."""
        return max(0, self.paid.minor - self.refunded_minor - self.disputed_minor)

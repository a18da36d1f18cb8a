"""Money that comes back: what Stripe says of refunds and disputes, and how many credits that takes. Pure.

Credits follow the money that is kept. What is taken back is an absolute target, a function of the sums that went back
so far, and only the difference to what was taken before is posted: so neither order nor repetition of events matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger.requests import Account
from tallybook.domain.money import Credits, Money

GIVEN_BACK = frozenset({"pending", "requires_action", "succeeded"})
"""Refunds that count: also those that are on their way. ``failed`` and ``canceled`` ones never gave anything back."""

WITHDRAWN = frozenset(
    {"needs_response", "under_review", "appeal_needs_response", "appeal_under_review", "lost"}
)
"""Disputes whose money the bank has: open ones and lost ones. https://docs.stripe.com/api/disputes/object"""

LEFT_ALONE = frozenset({"warning_needs_response", "warning_under_review", "warning_closed", "won"})
"""Inquiries, which move no money, and disputes that were won."""

OPEN = WITHDRAWN - {"lost"}
"""Disputes that are not decided; inquiries are none yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """A refund as Stripe has it; ``intent_id`` is ours, if we asked for it."""

    id: str
    amount: Money
    status: str
    reason: str | None
    failure_reason: str | None
    created_at: datetime
    intent_id: UUID | None = None

    @property
    def counts(self) -> bool:
        """Whether its money is gone, or on its way."""
        return self.status in GIVEN_BACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A dispute as Stripe has it; ``withdrawn`` is whether its entries in the account's balance sum up to a loss."""

    id: str
    amount: Money
    status: str
    reason: str
    withdrawn: bool
    created_at: datetime

    @property
    def counts(self) -> bool:
        """Whether the bank has its money. Of a status that says neither, the account's balance says it."""
        return self.status in WITHDRAWN or (self.status not in LEFT_ALONE and self.withdrawn)

    @property
    def is_open(self) -> bool:
        """Whether it is still to be decided."""
        return self.status in OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that went back of one payment intent, as Stripe has it right now.

    ``disputes`` is None when Stripe was not asked for them, since its charge never had any.
    """

    payment_intent_id: str
    customer_id: str | None
    receipt_url: str | None
    refunds: tuple[Refund, ...]
    disputes: tuple[Dispute, ...] | None


@dataclass(frozen=True, slots=True)
class Sums:
    """What went back of a payment, in minor units of its currency."""

    refunded_minor: int
    disputed_minor: int


@dataclass(frozen=True, slots=True)
class Taken:
    """How many credits are taken back for it."""

    refunded: Credits
    disputed: Credits


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentLot:
    """A lot that a payment brought, together with those in which its credits were restored; amounts in micro-credits.

    ``brought`` is what came in all, ``expired`` what ran out, ``taken_micro`` what was taken out of these very lots for
    money that went back. ``posted`` is what was posted for each house account, less what was restored, and
    ``posted_at`` when something was last taken for it.
    """

    id: LedgerId
    credits: Credits
    priority: int
    expires_at: datetime | None
    reference: str | None
    brought_micro: int
    available_micro: int
    held_micro: int
    expired_micro: int
    taken_micro: int
    posted: Mapping[Account, int]
    posted_at: Mapping[Account, datetime | None]

    @property
    def used_micro(self) -> int:
        """What went elsewhere: mostly what was spent."""
        here = self.available_micro + self.held_micro + self.expired_micro + self.taken_micro
        return self.brought_micro - here

    def owed(self, gross: int) -> int:
        """What is to be posted so that ``gross`` of the lot's credits are gone for money that went back.

        Credits that ran out are gone already: they are neither taken nor owed. So it is the same whether the lot
        expires before its money goes back or after.
        """
        unused = self.credits.micro - self.used_micro
        return max(0, gross - unused) + min(gross, unused - self.expired_micro)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Credits to take back from a lot of the payment, or (a negative amount) to restore."""

    lot: LedgerId
    house: Account
    micro: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a refund would do: ``credits`` are taken back, in the order of the fields; what is missing becomes ``debt``.

    ``held`` is what open holds have of the payment's own credits: what of it is given back pays the debt.
    """

    refund: Money
    credits: Credits
    from_payment: Credits
    from_others: Credits
    debt: Credits
    held: Credits


def previewed(
    refund: Money, taken: int, *, own_available: int, own_held: int, wallet_available: int
) -> Preview:
    """What taking so many micro-credits back would do to a wallet of which so much is the payment's own."""
    own = min(taken, own_available)
    others = min(taken - own, max(0, wallet_available - own_available))
    return Preview(
        refund=refund,
        credits=Credits(taken),
        from_payment=Credits(own),
        from_others=Credits(others),
        debt=Credits(taken - own - others),
        held=Credits(own_held),
    )


def given_back(refunds: Iterable[Refund]) -> int:
    """What refunds gave back, in minor units."""
    return sum(one.amount.minor for one in refunds if one.counts)


def went_back(paid: Money, refunds: Iterable[Refund], disputes: Iterable[Dispute]) -> Sums:
    """What refunds gave back and what disputes keep, never more than was paid; a refund counts before a dispute.

    An amount in another currency than the payment's counts as all of it.
    """
    refunded = min(paid.minor, sum(_minor(one.amount, paid) for one in refunds if one.counts))
    disputed = min(paid.minor - refunded, sum(_minor(one.amount, paid) for one in disputes if one.counts))
    return Sums(refunded, disputed)


def kept(lots: Iterable[PaymentLot]) -> Credits:
    """What a payment's lots still stand for: all that it brought, less what changes of plans returned."""
    return Credits(sum(lot.credits.micro for lot in lots))


def due(credits: Credits, left: Credits, value_minor: int, sums: Sums) -> Taken:
    """How many of a payment's credits are to be taken back in all; rounded half to even.

    The part is one of all ``credits`` that it brought, so that a change of plans gives none back that went before; but
    never more than what changes of plans ``left``. ``value_minor`` is what they were given for: the money that was
    paid, and what a customer's balance paid beside it.
    """
    refunded = min(left.micro, _share(credits.micro, sums.refunded_minor, value_minor))
    both = min(left.micro, _share(credits.micro, sums.refunded_minor + sums.disputed_minor, value_minor))
    return Taken(Credits(refunded), Credits(both - refunded))


def moves(lots: Sequence[PaymentLot], after: Taken) -> list[Move]:
    """From what was posted to what is due: the newest lot first, restoring before taking."""
    found: list[Move] = []
    end = 0
    for lot in sorted(lots, key=lambda lot: lot.id, reverse=True):
        start, end = end, end + lot.credits.micro
        refunded = _within(start, end, after.refunded.micro)
        both = _within(start, end, after.refunded.micro + after.disputed.micro)
        for_refunds = lot.owed(refunded)
        due_for = {Account.REFUNDED: for_refunds, Account.DISPUTED: lot.owed(both) - for_refunds}
        found += [
            Move(lot=lot.id, house=house, micro=micro - lot.posted[house])
            for house, micro in due_for.items()
            if micro != lot.posted[house]
        ]
    return sorted(found, key=lambda move: move.micro > 0)


def lives_until(now: datetime, expires_at: datetime | None, taken_at: datetime) -> datetime | None:
    """When restored credits expire: with their lot; after it, they live as long as it had left when they were taken.

    Credits for a lot that was over already when they were taken came from elsewhere, so they do not expire.
    """
    if expires_at is None or expires_at > now:
        return expires_at
    left = expires_at - taken_at
    return now + left if left > timedelta(0) else None


def _minor(amount: Money, paid: Money) -> int:
    return amount.minor if amount.currency == paid.currency else paid.minor


def _share(credits_micro: int, part_minor: int, paid_minor: int) -> int:
    if paid_minor == 0:
        return 0
    assert 0 <= part_minor <= paid_minor, (part_minor, paid_minor)
    whole, rest = divmod(credits_micro * part_minor, paid_minor)
    return whole + (2 * rest > paid_minor or (2 * rest == paid_minor and whole % 2 == 1))


def _within(start: int, end: int, upto: int) -> int:
    """How much of the first ``upto`` falls between two places."""
    return max(0, min(end, upto) - start)

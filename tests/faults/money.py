"""The money of a run by Stripe's word, and the books' word beside it: who paid for what, and what went back of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import httpx
from faults.bank import rows
from faults.books import Row
from faults.journal import Purchase

CREDITS = "credits_micro"
_PAGE = 100
_GONE = ("needs_response", "under_review", "lost")
_RETURNED = ("failed", "canceled")


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody pays for: ``credits_micro`` each time that it is paid, into their wallet."""

    wallet_id: int
    credits_micro: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """Something that was paid, and how much of the money went back; all by Stripe's word."""

    reference: str
    order: Order
    paid_minor: int
    refunded_minor: int = 0
    disputed_minor: int = 0

    @property
    def is_returned(self) -> bool:
        """Whether all of it was refunded: if that was before the grant, there is none."""
        return self.refunded_minor == self.paid_minor

    @property
    def kept_micro(self) -> int:
        """The credits of the money that was kept."""
        taken = sum(
            round(Fraction(self.order.credits_micro * back, self.paid_minor))
            for back in (self.refunded_minor, self.disputed_minor)
        )
        return self.order.credits_micro - min(self.order.credits_micro, taken)


@dataclass(frozen=True, slots=True)
class StripesWord:
    """Everything that was paid, and the ids of all events there were."""

    paid: list[Paid]
    events: set[str]


@dataclass(frozen=True, slots=True)
class OurWord:
    """The payments, the inbox and the wallets, as they lie in the database."""

    payments: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    wallets: list[Row] = field(default_factory=list)


def our_word(superuser_url: str) -> OurWord:
    """Read it."""
    return OurWord(
        payments=rows(
            superuser_url, f"SELECT reference, wallet_id, paid_minor, {CREDITS} FROM tallybook.payments"
        ),
        events=rows(superuser_url, "SELECT event_id, status FROM tallybook.stripe_events"),
        wallets=rows(
            superuser_url, "SELECT wallet_id, available_micro, held_micro, debt_micro FROM tallybook.wallets"
        ),
    )


async def stripes_word(
    stripe: httpx.AsyncClient, purchases: list[Purchase], plans: dict[str, Order]
) -> StripesWord:
    """Ask for everything; ``plans`` gives what each invoice of a customer brings."""
    packs = {one.session: Order(one.wallet_id, one.credits_micro) for one in purchases}
    refunded: Counter[str] = Counter()
    for one in await every(stripe, "refunds"):
        refunded[one["payment_intent"]] += 0 if one["status"] in _RETURNED else one["amount"]
    disputed: Counter[str] = Counter()
    for one in await every(stripe, "disputes"):
        disputed[one["payment_intent"]] += one["amount"] if one["status"] in _GONE else 0
    found: dict[str, tuple[str, Order, int]] = {}
    for one in await every(stripe, "checkout/sessions"):
        if one["mode"] == "payment" and one["payment_status"] == "paid":
            found[one["payment_intent"]] = (one["id"], packs[one["id"]], one["amount_total"])
    # A pack has an invoice too, which is only its receipt.
    of_plans = [one for one in await every(stripe, "invoices") if one["customer"] in plans]
    invoices = {one["id"]: one for one in of_plans}
    for one in await every(stripe, "invoice_payments"):
        if one["status"] == "paid" and one["invoice"] in invoices:
            invoice = invoices[one["invoice"]]
            order = plans[invoice["customer"]]
            found[one["payment"]["payment_intent"]] = (invoice["id"], order, one["amount_paid"])
    paid = [
        Paid(
            reference=reference,
            order=order,
            paid_minor=minor,
            refunded_minor=refunded[intent],
            disputed_minor=disputed[intent],
        )
        for intent, (reference, order, minor) in found.items()
    ]
    return StripesWord(paid, {one["id"] for one in await every(stripe, "events")})


async def every(stripe: httpx.AsyncClient, kind: str) -> list[dict[str, Any]]:
    """All objects of a kind, newest first."""
    found: list[dict[str, Any]] = []
    more = True
    while more:
        after = {"starting_after": found[-1]["id"]} if found else {}
        answer = await stripe.get(f"/v1/{kind}", params={"limit": _PAGE, **after})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["data"]
        more = page["has_more"]
    return found


def money_faults(said: StripesWord, ours: OurWord) -> list[str]:
    """I12, I13: what was paid is one payment with its credits; wallets have the credits of the money that was kept."""
    wanted = {
        one.reference: (one.order.wallet_id, one.paid_minor, one.order.credits_micro) for one in said.paid
    }
    booked = Counter(row["reference"] for row in ours.payments)
    faults = [
        f"I12 {one.reference} is paid and no payment"
        for one in said.paid
        if one.reference not in booked and not one.is_returned
    ]
    for row in ours.payments:
        known = (row["wallet_id"], row["paid_minor"], row[CREDITS])
        if wanted.get(row["reference"]) != known or booked[row["reference"]] > 1:
            faults.append(f"I12 {row['reference']}: booked {known}, paid {wanted.get(row['reference'])}")
    kept: Counter[int] = Counter()
    for one in said.paid:
        kept[one.order.wallet_id] += one.kept_micro
    for row in ours.wallets:
        has = row["available_micro"] + row["held_micro"] - row["debt_micro"]
        if has != kept[row["wallet_id"]]:
            faults.append(
                f"I13 wallet {row['wallet_id']} has {has}, the money kept is {kept[row['wallet_id']]}"
            )
    return faults


def inbox_faults(said: StripesWord, ours: OurWord) -> list[str]:
    """I14: every event that there was is in the inbox once, and settled."""
    status = {row["event_id"]: row["status"] for row in ours.events}
    faults = [f"I14 event {event} is not in the inbox" for event in said.events - status.keys()]
    faults += [
        f"I14 event {event} is there more than once"
        for event, times in Counter(row["event_id"] for row in ours.events).items()
        if times > 1
    ]
    return faults + [
        f"I14 event {event} is {now}" for event, now in status.items() if now not in ("done", "ignored")
    ]

"""What a customer must have: the credits of the money that was kept, by what Stripe says and nothing else.

Written from docs/subscriptions.md and docs/money-back.md, and on purpose without any of the service's code: what is
sold is read from the catalogue's file, what became of the money from the sandbox.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import files

from payments.lives.at_stripe import AtStripe, Json

MICRO = 1_000_000
GONE_REFUNDS = ("pending", "requires_action", "succeeded")
GONE_DISPUTES = ("needs_response", "under_review", "lost")
PLAN_REASONS = ("subscription_create", "subscription_cycle", "subscription_update")


@dataclass(frozen=True, slots=True)
class Bought:
    """One payment: what it brought, and what of it went with money that went back; in micro-credits."""

    reference: str
    subscription: str | None
    made: tuple[int, str]
    credits: int
    gone: int


@dataclass(frozen=True, slots=True)
class Owed:
    """An invoice that credits money to the customer's balance: so many credits go back, of what came before it."""

    reference: str
    subscription: str
    made: tuple[int, str]
    credits: int


@dataclass(frozen=True, slots=True)
class Kept:
    """All that a customer paid for."""

    bought: tuple[Bought, ...]
    owed: tuple[Owed, ...]

    @property
    def credits(self) -> int:
        """The credits of the money kept, in micro-credits: no payment loses more than it brought."""
        returned = self.returned()
        return sum(max(0, one.credits - one.gone - returned[one.reference]) for one in self.bought)

    def returned(self) -> dict[str, int]:
        """What goes back of each payment since a balance was credited: of the newest before, as much as it brought."""
        left = {one.reference: one.credits for one in self.bought}
        newest = sorted(self.bought, key=lambda one: one.made, reverse=True)
        for owing in sorted(self.owed, key=lambda one: one.made):
            owes = owing.credits
            for one in newest:
                if one.subscription == owing.subscription and one.made < owing.made:
                    part = min(owes, left[one.reference])
                    left[one.reference] -= part
                    owes -= part
        return {one.reference: one.credits - left[one.reference] for one in self.bought}


@dataclass(slots=True)
class Prices:
    """What each price at Stripe stands for: the product's micro-credits for one, and what one costs."""

    stripe: AtStripe
    credits: dict[str, int]
    known: dict[str, tuple[int, int]]

    @classmethod
    def of(cls, stripe: AtStripe) -> Prices:
        """By the catalogue that comes along."""
        catalog = tomllib.loads((files("tallybook") / "catalog.toml").read_text(encoding="utf-8"))
        rows = [row for family in ("packages", "packs", "plans") for row in catalog[family]]
        return cls(stripe, {row["lookup_key"]: row["credits"] * MICRO for row in rows}, {})

    def __getitem__(self, price_id: str) -> tuple[int, int]:
        """Micro-credits and minor units of one."""
        if price_id not in self.known:
            price = self.stripe.get(f"prices/{price_id}")
            self.known[price_id] = (self.credits[price["lookup_key"]], price["unit_amount"])
        return self.known[price_id]


def kept(stripe: AtStripe, prices: Prices, customer: str) -> Kept:
    """The money of a customer that was kept, as Stripe has it right now."""
    back = _went_back(stripe, customer)
    bought = list(_sessions(stripe, prices, customer, back))
    owed: list[Owed] = []
    for invoice in stripe.every("invoices", customer=customer):
        lines = list(_plan_lines(invoice))
        if invoice["status"] != "paid" or not lines:
            continue
        # Of invoices of the same second the numbers say which was first.
        made = (invoice["created"], invoice["number"])
        credits = sum(_credits_of_line(line, prices) for line in lines)
        subscription = lines[0]["parent"]["subscription_item_details"]["subscription"]
        if credits < 0:
            owed.append(Owed(invoice["id"], subscription, made, -credits))
        elif credits > 0:
            intent = _intent_of_invoice(stripe, invoice)
            paid = invoice["amount_paid"]
            # The customer's balance paid the rest: a refund takes its part of the credits for both.
            value = paid + max(0, invoice["total"] - invoice["amount_due"])
            gone = _part(credits, min(paid, back.get(intent, 0)), value)
            bought.append(Bought(invoice["id"], subscription, made, credits, gone))
    return Kept(tuple(bought), tuple(owed))


def _sessions(stripe: AtStripe, prices: Prices, customer: str, back: dict[str, int]) -> Iterator[Bought]:
    """What was bought once. A subscription's session brings nothing: its invoices do."""
    for session in stripe.every("checkout/sessions", customer=customer):
        if session["mode"] != "payment" or session["payment_status"] != "paid":
            continue
        [line] = stripe.get(f"checkout/sessions/{session['id']}/line_items")["data"]
        credits = prices[line["price"]["id"]][0] * line["quantity"]
        paid = session["amount_total"]
        gone = _part(credits, min(paid, back.get(session["payment_intent"], 0)), paid)
        yield Bought(session["id"], None, (session["created"], ""), credits, gone)


def _went_back(stripe: AtStripe, customer: str) -> dict[str, int]:
    """What of each payment intent went back, in minor units: refunds that stand, disputes that are open or lost."""
    gone: dict[str, int] = {}
    for charge in stripe.every("charges", customer=customer):
        if charge["status"] != "succeeded":
            continue
        intent = charge["payment_intent"]
        refunds = stripe.every("refunds", payment_intent=intent) if charge["amount_refunded"] else []
        disputes = stripe.every("disputes", payment_intent=intent) if charge["disputed"] else []
        gone[intent] = _sum(refunds, GONE_REFUNDS) + _sum(disputes, GONE_DISPUTES)
    return gone


def _sum(rows: Iterable[Json], statuses: tuple[str, ...]) -> int:
    return sum(row["amount"] for row in rows if row["status"] in statuses)


def _plan_lines(invoice: Json) -> Iterator[Json]:
    """The lines that may move credits; of an invoice made by hand only what a change of plans left to be billed."""
    assert not invoice["lines"]["has_more"], invoice["id"]
    for line in invoice["lines"]["data"]:
        details = line["parent"]["subscription_item_details"]
        counts = invoice["billing_reason"] in PLAN_REASONS or (
            invoice["billing_reason"] == "manual" and details and details["proration"]
        )
        if details and details["subscription"] and counts:
            yield line


def _credits_of_line(line: Json, prices: Prices) -> int:
    """The plan's credits by what was charged of its price; only time that is left counts after discounts."""
    each, costs = prices[line["pricing"]["price_details"]["price"]]
    charged = line["amount"]
    if line["parent"]["subscription_item_details"]["proration"]:
        charged -= sum(one["amount"] for one in line["discount_amounts"])
    return round(Fraction(each * charged, costs))


def _intent_of_invoice(stripe: AtStripe, invoice: Json) -> str:
    paid = stripe.every("invoice_payments", invoice=invoice["id"], status="paid")
    return next((row["payment"]["payment_intent"] for row in paid), "")


def _part(credits: int, gone: int, value: int) -> int:
    """Rounded once, half to even."""
    return round(Fraction(credits * gone, value)) if value else 0

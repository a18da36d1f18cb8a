"""What an invoice of a subscription does to credits: they follow the money that was kept. Pure.

Only a paid invoice moves credits, and only for a reason that has to do with the plan itself; what it moves follows from
its lines, never from its total, so that neither coupons nor taxes nor a customer's balance change it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction

from tallybook.domain.money import Credits, Money

PAID = "paid"
NOTHING = Credits(0)
_REASONS = frozenset({"subscription_create", "subscription_cycle", "subscription_update"})
"""The billing reasons of invoices that a subscription makes by itself: https://docs.stripe.com/api/invoices/object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceLine:
    """A line: ``amount`` is before discounts, in minor units and signed.

    ``subscription_id`` is set for a line that bills an item of a subscription, its prorations included.
    """

    id: str
    subscription_id: str | None
    is_proration: bool
    price_id: str | None
    amount: Money
    discount_minor: int
    quantity: int
    period_start: datetime
    period_end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceReport:
    """An invoice as Stripe has it right now, with all of its lines; amounts in minor units of ``currency``.

    ``from_balance_minor`` is what the customer's balance paid of it, or is to pay; ``tax_minor`` is the tax in all.
    """

    id: str
    number: str | None
    status: str | None
    billing_reason: str | None
    customer_id: str | None
    subscription_id: str | None
    currency: str
    total_minor: int
    amount_due_minor: int
    amount_paid_minor: int
    from_balance_minor: int
    hosted_invoice_url: str | None
    attempt_count: int
    next_payment_attempt: datetime | None
    payment_intent_id: str | None
    livemode: bool
    created: datetime
    lines: tuple[InvoiceLine, ...]
    paid_at: datetime | None = None
    tax_minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownInvoice:
    """An invoice as it is in our books; money in minor units of ``currency``."""

    stripe_invoice_id: str
    number: str | None
    status: str
    billing_reason: str | None
    currency: str
    total_minor: int
    tax_minor: int
    amount_due_minor: int
    amount_paid_minor: int
    hosted_invoice_url: str | None
    attempt_count: int
    next_payment_attempt_at: datetime | None
    stripe_created: datetime
    outcome: str
    granted: Credits
    taken_back: Credits


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTerms:
    """What a Stripe price stands for: the plan's credits for one, and what one costs at this very price."""

    lookup_key: str
    name: str
    credits: Credits
    price: Money
    expires: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Credits that arrive together: of one plan, with one time at which they expire (None: never)."""

    lookup_key: str
    name: str
    credits: Credits
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceJudgement:
    """What an invoice does: grants ``parts``, or takes credits back; and the outcome in a word."""

    outcome: str
    parts: tuple[Part, ...] = ()
    taken_back: Credits = NOTHING

    @property
    def granted(self) -> Credits:
        """The credits of all parts."""
        return Credits(sum(part.credits.micro for part in self.parts))


def credits_of_line(line: InvoiceLine, plan: PlanTerms) -> Credits:
    """The credits of one line, signed: those of the plan, by what was charged of its price. The one rounding.

    A line for a period counts before discounts: a discount is the merchant's gift. A proration is money for time, so it
    counts after them; else switching to and fro under a coupon would make credits. Half a micro-credit goes to even.
    """
    if plan.price.minor == 0:
        return Credits(0)
    charged = line.amount.minor - (line.discount_minor if line.is_proration else 0)
    return Credits(round(Fraction(plan.credits.micro * charged, plan.price.minor)))


def judge_invoice(report: InvoiceReport, plans: Mapping[str, PlanTerms], now: datetime) -> InvoiceJudgement:
    """What a report about an invoice of ours means; says nothing about events, so order does not matter.

    ``plans`` are our plans by Stripe price.
    """
    if report.status != PAID:
        return InvoiceJudgement(outcome="not_paid")
    counted = [line for line in report.lines if _counts(report, line)]
    if report.billing_reason not in _REASONS and not counted:
        return InvoiceJudgement(outcome="other_reason")
    known = [
        (line, plans[line.price_id])
        for line in counted
        if line.price_id is not None and line.price_id in plans
    ]
    if any(line.amount.currency != plan.price.currency for line, plan in known):
        return InvoiceJudgement(outcome="mismatch_currency")
    parts = [_part(line, plan, now) for line, plan in known]
    total = sum(part.credits.micro for part in parts)
    if total > 0:
        return InvoiceJudgement(outcome="granted", parts=_netted(parts))
    if total < 0:
        return InvoiceJudgement(outcome="taken_back", taken_back=Credits(-total))
    return InvoiceJudgement(outcome="no_credits")


def trial_part(report: InvoiceReport, plans: Mapping[str, PlanTerms], credits: Credits) -> Part | None:
    """The credits of a trial, if this paid invoice begins one: its line is for nothing, and for the trial's time."""
    if report.status != PAID or report.billing_reason != "subscription_create" or credits.micro == 0:
        return None
    for line in report.lines:
        plan = plans.get(line.price_id or "")
        if line.subscription_id is not None and plan is not None and line.amount.minor == 0:
            expires_at = line.period_end if plan.expires else None
            return Part(lookup_key=plan.lookup_key, name=plan.name, credits=credits, expires_at=expires_at)
    return None


def paid_line(report: InvoiceReport, plans: Mapping[str, PlanTerms]) -> InvoiceLine | None:
    """The line that says which plan the newest period was paid for."""
    if report.status != PAID:
        return None
    lines = [
        line
        for line in report.lines
        if _counts(report, line) and line.price_id in plans and line.amount.minor >= 0
    ]
    return max(lines, key=lambda line: (line.period_start, line.period_end), default=None)


def _counts(report: InvoiceReport, line: InvoiceLine) -> bool:
    """Whether a line may move credits: of a subscription; by hand only what a change of plan left to be billed."""
    if line.subscription_id is None:
        return False
    return report.billing_reason in _REASONS or (report.billing_reason == "manual" and line.is_proration)


def _part(line: InvoiceLine, plan: PlanTerms, now: datetime) -> Part:
    """A period that is over by the time it is paid lives as long as it would have, from now."""
    ends = line.period_end if line.period_end > now else now + (line.period_end - line.period_start)
    return Part(
        lookup_key=plan.lookup_key,
        name=plan.name,
        credits=credits_of_line(line, plan),
        expires_at=ends if plan.expires else None,
    )


def _netted(parts: Sequence[Part]) -> tuple[Part, ...]:
    """One part for each plan and expiry; what is owed is taken from those that expire first."""
    owed = -sum(part.credits.micro for part in parts if part.credits.micro < 0)
    gathered: dict[tuple[str, datetime | None], Part] = {}
    for part in parts:
        if part.credits.micro > 0:
            place = (part.lookup_key, part.expires_at)
            before = gathered[place].credits.micro if place in gathered else 0
            gathered[place] = replace(part, credits=Credits(before + part.credits.micro))
    kept = []
    for part in sorted(gathered.values(), key=_by_expiry):
        taken = min(owed, part.credits.micro)
        owed -= taken
        if part.credits.micro > taken:
            kept.append(replace(part, credits=Credits(part.credits.micro - taken)))
    return tuple(kept)


def _by_expiry(part: Part) -> tuple[bool, float, str]:
    """Those that never expire come last."""
    ends = 0.0 if part.expires_at is None else part.expires_at.timestamp()
    return (part.expires_at is None, ends, part.lookup_key)

"""Reads what a customer paid before: one for each charge, with the credits that its webhook would have brought."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tallybook.domain.money import Credits, Money
from tallybook.domain.payments.checkouts import PAID
from tallybook.domain.payments.importing import ChargeReport, Grants, Options, PastPart, PastPayment
from tallybook.domain.payments.invoices import InvoiceReport, PlanTerms, judge_invoice
from tallybook.domain.payments.reports import SessionReport
from tallybook.postgres import catalog
from tallybook.stripe import listings
from tallybook.stripe.gateway import StripeGateway
from tallybook.usecases.context import Context


@dataclass(slots=True)
class Past:
    """What Stripe has of a customer: payments by reference, subscriptions, and prices that are none of ours."""

    payments: dict[str, PastPayment] = field(default_factory=dict)
    subscriptions: list[str] = field(default_factory=list)
    unknown_prices: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pricing:
    """What Stripe prices stand for: the lookup key of a product of ours, and what one costs."""

    sold: dict[str, tuple[str, Money]]

    def plans(self, ctx: Context) -> dict[str, PlanTerms]:
        """Those that are plans."""
        found = {}
        for price_id, (lookup_key, price) in self.sold.items():
            product = ctx.catalog.by_lookup_key(lookup_key)
            if product is not None and product.interval is not None:
                found[price_id] = PlanTerms(
                    lookup_key=lookup_key,
                    name=product.name,
                    credits=product.credits,
                    price=price,
                    expires=product.credits_expire,
                )
        return found


async def past_of(ctx: Context, stripe: StripeGateway, customer_id: str, options: Options) -> Past:
    """All that a customer paid, whatever of it is in our books already."""
    past = Past()
    about: dict[str, Any] = {"customer": customer_id}
    charges = {
        charge.payment_intent_id or charge.id: charge
        async for page in listings.charges(stripe, customer_id)
        for charge in page
    }
    taken: set[str] = set()
    for found in [
        *await _sessions(ctx, stripe, about, past, options),
        *await _invoices(ctx, stripe, about, past, options),
        *(_of_charge(reference, charge) for reference, charge in charges.items()),
    ]:
        _add(past, taken, found, charges)
    async for subscriptions in listings.subscriptions(stripe, about | {"status": "all"}):
        for one in subscriptions:
            past.subscriptions.append(one.id)
            if not (await _pricing(ctx, {one.price_id})).sold and not one.status.has_ended:
                past.unknown_prices.add(one.price_id)
    return past


async def _sessions(
    ctx: Context, stripe: StripeGateway, about: dict[str, Any], past: Past, options: Options
) -> list[PastPayment]:
    return [
        await _of_session(ctx, stripe, session, past, options)
        async for page in listings.sessions(stripe, about)
        for session in page
        if session.mode == "payment" and session.payment_status in PAID
    ]


async def _invoices(
    ctx: Context, stripe: StripeGateway, about: dict[str, Any], past: Past, options: Options
) -> list[PastPayment]:
    return [
        await _of_invoice(ctx, invoice, past, options)
        async for page in listings.invoices(stripe, about)
        for invoice in page
        if invoice.status == "paid"
    ]


def _add(past: Past, taken: set[str], found: PastPayment, charges: dict[str, ChargeReport]) -> None:
    """One for each payment intent: the receipt of a checkout is an invoice too."""
    intent = found.payment_intent_id
    if intent is not None and intent in taken:
        return
    charge = None if intent is None else charges.get(intent)
    if intent is not None:
        taken.add(intent)
    past.payments[found.reference] = PastPayment(
        reference=found.reference,
        payment_intent_id=intent,
        money=found.money,
        from_balance_minor=found.from_balance_minor,
        tax_minor=found.tax_minor,
        description=found.description,
        gone_back=charge is not None and charge.gone_back,
        receipt_url=None if charge is None else charge.receipt_url,
        # A session is made before it is paid.
        paid_at=found.paid_at if charge is None else max(found.paid_at, charge.created),
        parts=found.parts,
    )


async def _of_session(
    ctx: Context, stripe: StripeGateway, session: SessionReport, past: Past, options: Options
) -> PastPayment:
    assert session.created is not None
    assert session.currency is not None
    parts: list[PastPart] = []
    names: list[str] = []
    if _counts(options, session.created):
        lines = await listings.session_lines(stripe, session.id)
        sold = (await _pricing(ctx, {price for price, _ in lines})).sold
        for price, quantity in lines:
            product = ctx.catalog.by_lookup_key(sold[price][0]) if price in sold else None
            if product is None:
                past.unknown_prices.add(price)
                continue
            names.append(f"{product.name} x {quantity}")
            key = f"stripe:checkout_session:{session.id}:grant" + (f":{len(parts) + 1}" if parts else "")
            parts.append(
                PastPart(
                    lookup_key=product.lookup_key,
                    name=names[-1],
                    credits=Credits(product.credits.micro * quantity),
                    expires_at=None,
                    key=key,
                    is_plan=False,
                )
            )
    return PastPayment(
        reference=session.id,
        payment_intent_id=session.payment_intent_id,
        money=Money(session.amount_total or 0, session.currency),
        tax_minor=session.amount_tax,
        description=", ".join(names) or "Imported checkout",
        gone_back=False,
        receipt_url=None,
        paid_at=session.created,
        parts=tuple(parts),
    )


async def _of_invoice(ctx: Context, invoice: InvoiceReport, past: Past, options: Options) -> PastPayment:
    parts: tuple[PastPart, ...] = ()
    paid_at = invoice.paid_at or invoice.created
    if _counts(options, paid_at):
        prices = {line.price_id for line in invoice.lines if line.price_id and line.subscription_id}
        plans = (await _pricing(ctx, prices)).plans(ctx)
        past.unknown_prices.update(prices - plans.keys())
        now = ctx.clock()
        # Judged as of then: what would have run out by now brings nothing.
        judged = judge_invoice(invoice, plans, paid_at).parts
        parts = tuple(
            PastPart(
                lookup_key=part.lookup_key,
                name=part.name,
                credits=part.credits,
                expires_at=part.expires_at,
                key=f"stripe:invoice:{invoice.id}:grant" + (f":{number}" if number > 1 else ""),
                is_plan=True,
            )
            for number, part in enumerate(judged, 1)
            if part.expires_at is None or part.expires_at > now
        )
    return PastPayment(
        reference=invoice.id,
        payment_intent_id=invoice.payment_intent_id,
        money=Money(invoice.amount_paid_minor, invoice.currency),
        from_balance_minor=invoice.from_balance_minor,
        tax_minor=max(0, invoice.tax_minor),
        description=f"Imported invoice {invoice.number or invoice.id}",
        gone_back=False,
        receipt_url=None,
        paid_at=paid_at,
        parts=parts,
    )


def _of_charge(reference: str, charge: ChargeReport) -> PastPayment:
    """A charge that is neither a checkout's nor an invoice's: nobody knows what it was for."""
    return PastPayment(
        reference=reference,
        payment_intent_id=charge.payment_intent_id,
        money=charge.money,
        description=charge.description or "Imported charge",
        gone_back=charge.gone_back,
        receipt_url=charge.receipt_url,
        paid_at=charge.created,
    )


def _counts(options: Options, at: datetime) -> bool:
    """Whether a payment of then brings credits."""
    return options.grants is Grants.HISTORY and (options.since is None or at >= options.since)


async def _pricing(ctx: Context, price_ids: set[str]) -> Pricing:
    async with ctx.db.snapshot() as tx:
        return Pricing(sold=await catalog.sold_at(tx, price_ids))

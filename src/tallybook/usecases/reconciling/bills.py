"""Compares invoices with our books: whose they are, and what their lines would bring."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tallybook.domain.payments.comparing import compare_invoice
from tallybook.domain.payments.invoices import InvoiceReport, PlanTerms, judge_invoice
from tallybook.domain.payments.reconciling import Finding
from tallybook.postgres import catalog, customers, payments, subscription_invoices, subscriptions
from tallybook.postgres.pool import Transaction
from tallybook.usecases.context import Context


async def compare_invoices(ctx: Context, page: Sequence[InvoiceReport]) -> list[Finding]:
    """What differs of some invoices."""
    of = {report.id: _subscription_of(report) for report in page}
    async with ctx.db.snapshot() as tx:
        known = await subscription_invoices.by_ids(tx, of)
        paid = await payments.by_references(tx, of)
        ours = await subscriptions.by_stripe_ids(tx, {one for one in of.values() if one is not None})
        users = await customers.users_of(tx, {one.customer_id for one in page if one.customer_id is not None})
        prices = {line.price_id for one in page for line in one.lines if line.price_id is not None}
        plans = await plans_sold_at(ctx, tx, prices)
    found = []
    for report in page:
        # A subscription that is not in the books yet is one of ours if a customer of ours pays for a plan of ours.
        would_be = report.customer_id in users and any(line.price_id in plans for line in report.lines)
        one = compare_invoice(
            report,
            known.get(report.id),
            paid.get(report.id),
            judge_invoice(report, plans, ctx.clock()),
            ours=of[report.id] in ours or would_be,
        )
        found += [one] if one else []
    return found


async def plans_sold_at(ctx: Context, tx: Transaction, price_ids: Collection[str]) -> dict[str, PlanTerms]:
    """Our plans by Stripe price, old prices included; those that have left the catalogue are left out."""
    found = {}
    for price_id, (lookup_key, price) in (await catalog.sold_at(tx, price_ids)).items():
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


def _subscription_of(report: InvoiceReport) -> str | None:
    return report.subscription_id or next(
        (line.subscription_id for line in report.lines if line.subscription_id is not None), None
    )

"""The door to invoices of subscriptions: what Stripe says of them, and what each did to credits."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from tallybook.domain.ids import LedgerId
from tallybook.domain.money import Credits
from tallybook.domain.payments.invoices import InvoiceReport, KnownInvoice
from tallybook.domain.payments.returns import BroughtLot, OwingInvoice, Place
from tallybook.postgres.pool import Row, Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("subscription_invoices")


async def follow(tx: Transaction, now: datetime, subscription_id: int, report: InvoiceReport) -> bool:
    """Write an invoice down and lock it until the transaction ends; gives whether its credits have moved already."""
    row = await tx.one(
        _SQL.follow,
        now=now,
        stripe_invoice_id=report.id,
        subscription_id=subscription_id,
        number=report.number,
        status=report.status or "draft",
        billing_reason=report.billing_reason,
        currency=report.currency,
        total_minor=report.total_minor,
        tax_minor=report.tax_minor,
        amount_due_minor=report.amount_due_minor,
        amount_paid_minor=report.amount_paid_minor,
        hosted_invoice_url=report.hosted_invoice_url,
        attempt_count=report.attempt_count,
        next_payment_attempt_at=report.next_payment_attempt,
        stripe_created=report.created,
    )
    return row["posted_at"] is not None


async def settled(
    tx: Transaction,
    now: datetime,
    invoice_id: str,
    *,
    outcome: str,
    granted: Credits,
    owed: Credits,
) -> None:
    """Write down what an invoice did to credits; ``owed`` is what it takes back, as far as that is there."""
    await tx.run(
        _SQL.settled,
        now=now,
        stripe_invoice_id=invoice_id,
        outcome=outcome,
        granted_micro=granted.micro,
        owed_micro=owed.micro,
    )


async def took_back(tx: Transaction, now: datetime, invoice_id: str, amount: Credits) -> None:
    """Write down what of the credits that an invoice owes was taken back in all."""
    await tx.run(_SQL.took_back, now=now, stripe_invoice_id=invoice_id, taken_back_micro=amount.micro)


async def of_subscription(tx: Transaction, subscription_id: int, *, limit: int) -> list[KnownInvoice]:
    """The invoices of a subscription, newest first."""
    rows = await tx.many(_SQL.of_subscription, subscription_id=subscription_id, limit=limit)
    return [_invoice(row) for row in rows]


async def by_ids(tx: Transaction, stripe_invoice_ids: Collection[str]) -> dict[str, KnownInvoice]:
    """Invoices by Stripe's ids."""
    rows = await tx.many(_SQL.by_ids, stripe_invoice_ids=list(stripe_invoice_ids))
    return {row["stripe_invoice_id"]: _invoice(row) for row in rows}


async def unsettled(tx: Transaction, *, before: datetime) -> list[str]:
    """The invoices from before a moment that may still be paid; one that was given up can be, too."""
    return [row["stripe_invoice_id"] for row in await tx.many(_SQL.unsettled, before=before)]


async def owing(tx: Transaction, subscription_id: int) -> list[OwingInvoice]:
    """The invoices of a subscription that owe credits."""
    return [
        OwingInvoice(
            place=_place(row),
            owed=Credits(row["owed_micro"]),
            taken_back=Credits(row["taken_back_micro"]),
        )
        for row in await tx.many(_SQL.owing, subscription_id=subscription_id)
    ]


async def lots(tx: Transaction, subscription_id: int) -> list[BroughtLot]:
    """The lots that a subscription's invoices brought, newest first; their payments are locked."""
    return [
        BroughtLot(
            payment_id=row["payment_id"],
            lot=LedgerId(row["wallet_id"], row["lot_version"]),
            place=_place(row),
            brought=Credits(row["credits_micro"]),
            returned=Credits(row["returned_micro"]),
        )
        for row in await tx.many(_SQL.lots_of_subscription, subscription_id=subscription_id)
    ]


async def returned(tx: Transaction, one: BroughtLot, amount: Credits) -> None:
    """Write down what in all was taken back of a lot."""
    await tx.run(
        _SQL.returned, payment_id=one.payment_id, lot_version=one.lot.version, returned_micro=amount.micro
    )


def _place(row: Row) -> Place:
    return Place(
        created=row["stripe_created"], number=row["number"] or "", invoice_id=row["stripe_invoice_id"]
    )


_PLAIN = [name for name in KnownInvoice.__slots__ if name not in ("granted", "taken_back")]


def _invoice(row: Row) -> KnownInvoice:
    return KnownInvoice(
        **{name: row[name] for name in _PLAIN},
        granted=Credits(row["granted_micro"]),
        taken_back=Credits(row["taken_back_micro"]),
    )

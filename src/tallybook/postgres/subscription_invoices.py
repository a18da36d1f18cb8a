"""The door to invoices of subscriptions: what Stripe says of them, and what each did to credits."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from tallybook.domain.ids import LedgerId
from tallybook.domain.money import Credits
from tallybook.domain.payments.invoices import InvoiceReport, KnownInvoice
from tallybook.postgres.pool import Row, Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("subscription_invoices")


@dataclass(frozen=True, slots=True, kw_only=True)
class LotLeft:
    """A lot that an invoice brought, and how much of it, and of all lots of its payment, can still be taken back."""

    payment_id: int
    lot: LedgerId
    left: Credits
    of_payment: Credits


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
    taken_back: Credits,
) -> None:
    """Write down what an invoice did to credits."""
    await tx.run(
        _SQL.settled,
        now=now,
        stripe_invoice_id=invoice_id,
        outcome=outcome,
        granted_micro=granted.micro,
        taken_back_micro=taken_back.micro,
    )


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


async def lots_left(tx: Transaction, subscription_id: int, until: datetime) -> list[LotLeft]:
    """The lots that a subscription's invoices made ``until`` then brought, newest first; their payments are locked."""
    return [
        LotLeft(
            payment_id=row["payment_id"],
            lot=LedgerId(row["wallet_id"], row["lot_version"]),
            left=Credits(max(0, row["left_micro"])),
            of_payment=Credits(max(0, row["payment_left_micro"])),
        )
        for row in await tx.many(_SQL.lots_of_subscription, subscription_id=subscription_id, until=until)
    ]


async def returned(tx: Transaction, lot: LotLeft, amount: Credits) -> None:
    """Count what was taken back of a lot."""
    await tx.run(
        _SQL.returned, payment_id=lot.payment_id, lot_version=lot.lot.version, amount_micro=amount.micro
    )


_PLAIN = [name for name in KnownInvoice.__slots__ if name not in ("granted", "taken_back")]


def _invoice(row: Row) -> KnownInvoice:
    return KnownInvoice(
        **{name: row[name] for name in _PLAIN},
        granted=Credits(row["granted_micro"]),
        taken_back=Credits(row["taken_back_micro"]),
    )

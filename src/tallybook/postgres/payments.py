"""The door to payments: what was paid, and which lots it brought."""

from __future__ import annotations

from datetime import datetime

from tallybook.domain.money import Credits, Money
from tallybook.domain.payments.payments import Paid, Payment, Source
from tallybook.postgres.pool import Row, Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("payments")


async def record(tx: Transaction, now: datetime, paid: Paid) -> int | None:
    """Write a payment down in the transaction of its grant; gives its number, or None if it already is."""
    row = await tx.maybe(
        _SQL.record,
        now=now,
        wallet_id=paid.wallet_id,
        user_id=paid.user_id,
        source=str(paid.source),
        reference=paid.reference,
        stripe_customer_id=paid.stripe_customer_id,
        stripe_payment_intent_id=paid.stripe_payment_intent_id,
        lookup_key=paid.lookup_key,
        description=paid.description,
        paid_minor=paid.price.minor,
        currency=paid.price.currency,
        credits_micro=sum(credits.micro for _, credits in paid.lots),
    )
    if row is None:
        return None
    for lot, credits in paid.lots:
        await tx.run(
            _SQL.record_lot,
            payment_id=row["payment_id"],
            wallet_id=lot.wallet_id,
            lot_version=lot.version,
            credits_micro=credits.micro,
        )
    return int(row["payment_id"])


async def by_reference(tx: Transaction, reference: str) -> Payment | None:
    """The payment that granted for this checkout session, invoice or payment intent."""
    return _maybe(await tx.maybe(_SQL.by_reference, reference=reference))


async def by_payment_intent(tx: Transaction, stripe_payment_intent_id: str) -> Payment | None:
    """The payment that this payment intent carried out."""
    return _maybe(await tx.maybe(_SQL.by_payment_intent, stripe_payment_intent_id=stripe_payment_intent_id))


def _maybe(row: Row | None) -> Payment | None:
    if row is None:
        return None
    return Payment(
        payment_id=row["payment_id"],
        wallet_id=row["wallet_id"],
        user_id=row["user_id"],
        source=Source(row["source"]),
        reference=row["reference"],
        stripe_customer_id=row["stripe_customer_id"],
        stripe_payment_intent_id=row["stripe_payment_intent_id"],
        lookup_key=row["lookup_key"],
        description=row["description"],
        paid=Money(row["paid_minor"], row["currency"]),
        credits=Credits(row["credits_micro"]),
        refunded_minor=row["refunded_minor"],
        disputed_minor=row["disputed_minor"],
        refunded=Credits(row["refunded_micro"]),
        disputed=Credits(row["disputed_micro"]),
        steps=row["steps"],
        paid_at=row["paid_at"],
    )

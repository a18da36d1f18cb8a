"""The door to payments: what was paid, and which lots it brought."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from tallybook.domain.money import Credits, Money
from tallybook.domain.payments.payments import Paid, Payment, Source
from tallybook.postgres import money_back
from tallybook.postgres.pool import Row, Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("payments")


async def record(
    tx: Transaction, now: datetime, paid: Paid, *, freezes: bool = False, paid_at: datetime | None = None
) -> int | None:
    """Write a payment down in the transaction of its grant; gives its number, or None if it already is.

    What is known to have gone back of its money is taken back at once: a refund may be heard of before the payment.
    ``freezes`` is as for ``money_back.apply``; ``paid_at`` is when, if not now.
    """
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
        from_balance_minor=paid.from_balance_minor,
        tax_minor=paid.tax_minor,
        currency=paid.price.currency,
        credits_micro=sum(credits.micro for _, credits in paid.lots),
        receipt_url=paid.receipt_url,
        paid_at=paid_at or now,
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
    found = _payment(row)
    await money_back.apply(tx, now, found, wait=False, freezes=freezes)
    return found.payment_id


async def by_reference(tx: Transaction, reference: str) -> Payment | None:
    """The payment that granted for this checkout session, invoice or payment intent."""
    return _maybe(await tx.maybe(_SQL.by_reference, reference=reference))


async def by_payment_intent(
    tx: Transaction, stripe_payment_intent_id: str, *, lock: bool = False
) -> Payment | None:
    """The payment that this payment intent carried out."""
    statement = _SQL.locked_by_payment_intent if lock else _SQL.by_payment_intent
    return _maybe(await tx.maybe(statement, stripe_payment_intent_id=stripe_payment_intent_id))


async def by_id(tx: Transaction, payment_id: int) -> Payment | None:
    """One payment."""
    return _maybe(await tx.maybe(_SQL.by_id, payment_id=payment_id))


async def newest(tx: Transaction, *, user_id: int | None, before: int, limit: int) -> list[Payment]:
    """A page of payments, newest first: up to ``limit`` with a number below ``before``; of one user, if named."""
    return [_payment(row) for row in await tx.many(_SQL.newest, user_id=user_id, before=before, limit=limit)]


async def keep_receipt(tx: Transaction, stripe_payment_intent_id: str, receipt_url: str | None) -> None:
    """Where Stripe shows the payment to its customer."""
    if receipt_url is not None:
        await tx.run(_SQL.receipt, stripe_payment_intent_id=stripe_payment_intent_id, receipt_url=receipt_url)


async def by_references(tx: Transaction, references: Collection[str]) -> dict[str, Payment]:
    """Payments by the checkout sessions, invoices and payment intents that their credits were granted for."""
    rows = await tx.many(_SQL.by_references, stripe_ids=list(references))
    return {row["reference"]: _payment(row) for row in rows}


async def by_payment_intents(tx: Transaction, payment_intents: Collection[str]) -> dict[str, Payment]:
    """Payments by the payment intents that carried them out."""
    rows = await tx.many(_SQL.by_payment_intents, payment_intents=list(payment_intents))
    return {row["stripe_payment_intent_id"]: _payment(row) for row in rows}


async def paid_within(
    tx: Transaction, *, since: datetime, until: datetime, after: int, limit: int
) -> list[Payment]:
    """A page of the payments of a time, in the order they came, from the number after which another page ended."""
    rows = await tx.many(_SQL.paid_within, since=since, until=until, after=after, limit=limit)
    return [_payment(row) for row in rows]


def _maybe(row: Row | None) -> Payment | None:
    return None if row is None else _payment(row)


def _payment(row: Row) -> Payment:
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
        from_balance_minor=row["from_balance_minor"],
        tax_minor=row["tax_minor"],
        credits=Credits(row["credits_micro"]),
        refunded_minor=row["refunded_minor"],
        disputed_minor=row["disputed_minor"],
        refunded=Credits(row["refunded_micro"]),
        disputed=Credits(row["disputed_micro"]),
        steps=row["steps"],
        receipt_url=row["receipt_url"],
        paid_at=row["paid_at"],
    )

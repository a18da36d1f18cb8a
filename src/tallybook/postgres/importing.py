"""The door to imports of a Stripe account: how far one came, so that a stopped one goes on."""

from __future__ import annotations

from datetime import datetime

from tallybook.postgres.pool import Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("importing")


async def begin(tx: Transaction, now: datetime, terms: bytes) -> tuple[str | None, int]:
    """Begin, or go on: gives the last customer that is done, and how many are."""
    row = await tx.one(_SQL.begin, now=now, terms=terms)
    return row["after_customer"], row["customers"]


async def went_on(tx: Transaction, now: datetime, terms: bytes, *, after_customer: str) -> None:
    """Write down, in the transaction of its effect, that a customer is done."""
    await tx.run(_SQL.went_on, now=now, terms=terms, after_customer=after_customer)


async def end(tx: Transaction, now: datetime, terms: bytes) -> None:
    """All customers are done: the next import of these terms begins anew."""
    await tx.run(_SQL.end, now=now, terms=terms)

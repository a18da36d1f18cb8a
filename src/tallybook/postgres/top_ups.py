"""The door to the rules of auto top-up, and what is announced of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tallybook.domain.money import Credits, Money
from tallybook.domain.payments.top_ups import Setback, StopReason, TopUpRule, TopUpTerms
from tallybook.postgres.pool import Row, Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("top_ups")


async def keep(
    tx: Transaction, now: datetime, *, wallet_id: int, user_id: int, terms: TopUpTerms
) -> TopUpRule:
    """Keep a wallet's rule; what had stopped goes on."""
    row = await tx.one(
        _SQL.keep,
        now=now,
        wallet_id=wallet_id,
        user_id=user_id,
        enabled=terms.enabled,
        threshold_micro=terms.threshold.micro,
        lookup_key=terms.lookup_key,
        quantity=terms.quantity,
        credits_micro=None if terms.credits is None else terms.credits.micro,
        monthly_cap_minor=terms.monthly_cap.minor,
        currency=terms.monthly_cap.currency,
    )
    return _rule(row)


async def rule(tx: Transaction, wallet_id: int, *, lock: bool = False) -> TopUpRule | None:
    """A wallet's rule; with ``lock``, nobody changes it until the transaction ends."""
    row = await tx.maybe(_SQL.locked if lock else _SQL.rule, wallet_id=wallet_id)
    return None if row is None else _rule(row)


async def remove(tx: Transaction, wallet_id: int) -> None:
    """Forget a wallet's rule."""
    await tx.run(_SQL.remove, wallet_id=wallet_id)


async def due(tx: Transaction, now: datetime, *, after: int, limit: int) -> list[int]:
    """The next wallets below their threshold whose card may be charged, with numbers above ``after``."""
    return [row["wallet_id"] for row in await tx.many(_SQL.due, now=now, after=after, limit=limit)]


async def succeeded(tx: Transaction, now: datetime, wallet_id: int) -> None:
    """A charge went through: the next decline is the first."""
    await tx.run(_SQL.succeeded, now=now, wallet_id=wallet_id)


async def set_back(tx: Transaction, now: datetime, wallet_id: int, setback: Setback) -> None:
    """A charge failed, or cannot be made now."""
    await tx.run(
        _SQL.set_back,
        now=now,
        wallet_id=wallet_id,
        declines=setback.declines,
        not_before=setback.not_before,
        stopped=None if setback.stopped is None else str(setback.stopped),
    )


async def resume(tx: Transaction, now: datetime, user_id: int) -> list[int]:
    """The customer's card is another one: what was stopped goes on; gives the wallets."""
    return [row["wallet_id"] for row in await tx.many(_SQL.resume, now=now, user_id=user_id)]


async def announce(
    tx: Transaction, now: datetime, kind: str, wallet_id: int, *, key: str, facts: Mapping[str, Any]
) -> None:
    """Have it heard, once for each key, by the wallet's owner, the house and its apps."""
    await tx.run(_SQL.announce, now=now, kind=kind, wallet_id=wallet_id, key=key, facts=dict(facts))
    await tx.run(_SQL.tell)


def _rule(row: Row) -> TopUpRule:
    credits = row["credits_micro"]
    return TopUpRule(
        wallet_id=row["wallet_id"],
        user_id=row["user_id"],
        terms=TopUpTerms(
            threshold=Credits(row["threshold_micro"]),
            lookup_key=row["lookup_key"],
            quantity=row["quantity"],
            credits=None if credits is None else Credits(credits),
            monthly_cap=Money(row["monthly_cap_minor"], row["currency"]),
            enabled=row["enabled"],
        ),
        revision=row["revision"],
        declines=row["declines"],
        not_before=row["not_before"],
        stopped=None if row["stopped"] is None else StopReason(row["stopped"]),
        updated_at=row["updated_at"],
    )

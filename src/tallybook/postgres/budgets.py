"""The door to budgets and caps: make them, limit them, look at them."""

from __future__ import annotations

from datetime import datetime

from tallybook.domain.errors import BudgetNotFoundError
from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger.budgets import KIND_OF_CAPS, Budget, BudgetTerms, Period
from tallybook.postgres.pool import Row, Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("budgets")


async def add(
    tx: Transaction,
    now: datetime,
    terms: BudgetTerms,
    *,
    wallet_id: int,
    parent: LedgerId | None,
    keeper_app_id: int,
) -> Budget:
    """Make a budget, at the top or below a parent that is there."""
    row = await tx.one(
        _SQL.open_budget,
        now=now,
        wallet_id=wallet_id,
        parent_id=None if parent is None else parent.version,
        capped_app_id=None,
        name=terms.name,
        kind=terms.kind,
        limit_micro=terms.limit_micro,
        period=str(terms.period),
        keeper_app_id=keeper_app_id,
    )
    return await one(tx, now, LedgerId(wallet_id, row["budget_id"]))


async def set_cap(
    tx: Transaction, now: datetime, *, wallet_id: int, app_id: int, app_name: str, limit_micro: int | None
) -> Budget:
    """Set or lift the monthly limit of an app on a wallet; what it used this month counts on."""
    row = await tx.one(
        _SQL.open_budget,
        now=now,
        wallet_id=wallet_id,
        parent_id=None,
        capped_app_id=app_id,
        name=app_name,
        kind=KIND_OF_CAPS,
        limit_micro=limit_micro,
        period=str(Period.MONTH),
        keeper_app_id=0,
    )
    return await one(tx, now, LedgerId(wallet_id, row["budget_id"]))


async def limit(tx: Transaction, now: datetime, budget_id: LedgerId, limit_micro: int | None) -> Budget:
    """Set or lift the limit of a budget that is there."""
    await tx.run(
        _SQL.limit_budget,
        now=now,
        wallet_id=budget_id.wallet_id,
        budget_id=budget_id.version,
        limit_micro=limit_micro,
    )
    return await one(tx, now, budget_id)


async def one(tx: Transaction, now: datetime, budget_id: LedgerId) -> Budget:
    """A budget as it is now.

    Raises:
        BudgetNotFoundError: there is none.
    """
    row = await tx.maybe(_SQL.one, now=now, wallet_id=budget_id.wallet_id, budget_id=budget_id.version)
    if row is None:
        raise BudgetNotFoundError
    return _budget(row)


async def page(
    tx: Transaction, now: datetime, wallet_id: int, *, app_id: int | None, after: int, limit: int
) -> list[Budget]:
    """Up to ``limit`` budgets of a wallet with numbers above ``after``; with ``app_id`` those that it may see."""
    rows = await tx.many(_SQL.after, now=now, wallet_id=wallet_id, app_id=app_id, after=after, limit=limit)
    return [_budget(row) for row in rows]


async def caps(tx: Transaction, now: datetime, wallet_id: int) -> list[Budget]:
    """The caps of a wallet, also those that were lifted."""
    return [_budget(row) for row in await tx.many(_SQL.caps, now=now, wallet_id=wallet_id)]


def _budget(row: Row) -> Budget:
    wallet_id, parent_id = row["wallet_id"], row["parent_id"]
    return Budget(
        id=LedgerId(wallet_id, row["budget_id"]),
        parent=None if parent_id is None else LedgerId(wallet_id, parent_id),
        keeper_app_id=row["keeper_app_id"],
        capped_app_id=row["capped_app_id"],
        capped_app=row["capped_app"],
        terms=BudgetTerms(
            name=row["name"], kind=row["kind"], limit_micro=row["limit_micro"], period=Period(row["period"])
        ),
        spent_micro=row["spent_micro"],
        held_micro=row["reserved_micro"],
        period_ends_at=row["period_ends_at"],
        depth=row["depth"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )

"""The books as a whole: whether they tie."""

from __future__ import annotations

from collections.abc import Sequence

from tallybook.domain.ledger.requests import Fault
from tallybook.postgres import ledger
from tallybook.usecases.context import Context


async def verify(ctx: Context) -> tuple[dict[str, int], Sequence[Fault]]:
    """Check every promise of the ledger: how much was checked, and each broken promise."""
    async with ctx.db.unhurried_snapshot() as tx:
        return await ledger.totals(tx), await ledger.verify(tx)

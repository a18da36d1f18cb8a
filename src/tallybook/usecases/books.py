"""The books as a whole: whether they tie, and whether the chain is what it should be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tallybook.domain.ledger.chain import ChainCheck, ChainedWallet
from tallybook.domain.ledger.requests import Fault
from tallybook.postgres import chain, verifying
from tallybook.usecases.context import Context

FAULTS_MAX = 1000
"""How many faults of the chain are kept: when everything is wrong, the first ones say it."""
_TOLD_EVERY = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Recomputed:
    """What came of computing the chain a second time."""

    transfers: int
    faults: Sequence[Fault]


def _quietly(_done: int, _of: int) -> None:
    """Tell nobody."""


async def verify(
    ctx: Context, *, progress: Callable[[int, int], None] = _quietly
) -> tuple[dict[str, int], Sequence[Fault]]:
    """Check every promise of the ledger: how much was checked, and each broken promise.

    All is seen at one moment, and looked at a range of wallets at a time; ``progress`` is told how many transfers were
    looked at, of how many.
    """
    found, done = list[Fault](), 0
    async with ctx.db.unhurried_snapshot() as tx:
        totals = await verifying.totals(tx)
        for wallets in await verifying.ranges(tx, transfers=verifying.LOOKED_AT_ONCE):
            progress(done, totals["transfers"])
            found += await verifying.verify(tx, wallets)
            done += wallets.transfers
    return totals, found


async def recompute(ctx: Context, *, progress: Callable[[int], None]) -> Recomputed:
    """Compute every digest of the chain in Python and compare it with the stored one; the database only gives rows."""
    check, found = ChainCheck(), list[Fault]()
    async with ctx.db.unhurried_snapshot() as tx:
        async for row in chain.rows(tx):
            fault = check.wallet(row) if isinstance(row, ChainedWallet) else check.transfer(row)
            if fault is not None and len(found) < FAULTS_MAX:
                found.append(fault)
            if check.transfers % _TOLD_EVERY == 0:
                progress(check.transfers)
    last = check.end()
    if last is not None:
        found.append(last)
    return Recomputed(
        transfers=check.transfers, faults=sorted(found, key=lambda one: (one.wallet_id, one.version))
    )

"""The door to the verification of the books: every promise of the ledger, a range of wallets at a time."""

from __future__ import annotations

from dataclasses import dataclass

from tallybook.domain.ledger.requests import Fault
from tallybook.postgres.pool import Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("verifying")
LOOKED_AT_ONCE = 50_000
"""Transfers: what is sorted and compared then fits into memory, however large the ledger is."""
_FIRST_ID, _LAST_ID = -(2**63), 2**63 - 1
"""Of what PostgreSQL's bigint can be."""


@dataclass(frozen=True, slots=True)
class WalletRange:
    """Wallets by their ids, the first and the last included, and how many transfers they say they have."""

    first: int
    last: int
    transfers: int


async def ranges(tx: Transaction, *, transfers: int) -> list[WalletRange]:
    """Ranges of about so many transfers each that cover every id there can be, also of wallets that are missing."""
    rows = await tx.many(_SQL.ranges, transfers=transfers)
    lasts = [*(row["last"] for row in rows[:-1]), _LAST_ID]
    firsts = [_FIRST_ID, *(last + 1 for last in lasts[:-1])]
    counts = [row["transfers"] for row in rows] or [0]
    return [WalletRange(*one) for one in zip(firsts, lasts, counts, strict=True)]


async def verify(tx: Transaction, wallets: WalletRange) -> list[Fault]:
    """Every broken promise of the ledger in a range of wallets; empty means that their books tie."""
    return [
        Fault(wallet_id=r["wallet_id"], version=r["version"], check=r["check_name"], detail=r["detail"])
        for r in await tx.many(_SQL.verify, first=wallets.first, last=wallets.last)
    ]


async def totals(tx: Transaction) -> dict[str, int]:
    """How many wallets, transfers and holds there are."""
    return dict(await tx.one(_SQL.totals))

"""The door to the rows of which the hash chain is made; what they should say is computed elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import fields

from tallybook.domain.ledger.chain import ChainedTransfer, ChainedWallet
from tallybook.postgres.pool import Row, Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("chain")
_COLUMNS = tuple(field.name for field in fields(ChainedTransfer))


async def rows(tx: Transaction) -> AsyncIterator[ChainedWallet | ChainedTransfer]:
    """Each wallet and behind it its transfers in order; at the end the wallets that have none."""
    before = None
    async for row in tx.stream(_SQL.transfers):
        if row["wallet_there"] is not None and row["wallet_id"] != before:
            yield _wallet(row)
        before = row["wallet_id"]
        yield ChainedTransfer(**{name: row[name] for name in _COLUMNS})
    async for row in tx.stream(_SQL.empty_wallets):
        yield ChainedWallet(**row)


def _wallet(row: Row) -> ChainedWallet:
    return ChainedWallet(
        wallet_id=row["wallet_id"],
        owner_user_id=row["owner_user_id"],
        owner_organisation_id=row["owner_organisation_id"],
        version=row["wallet_version"],
        digest=row["wallet_digest"],
    )

"""The door to what the database says of itself."""

from __future__ import annotations

from tallybook.postgres.pool import Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("installation")


async def revision(tx: Transaction) -> str:
    """The schema revision that the database is at."""
    row = await tx.one(_SQL.revision)
    return str(row["version_num"])

"""The fastest simple way: a conditional UPDATE that feeds the INSERT, one statement and one round trip for a spend.

It cannot overspend. Like the row lock it has no idempotency keys, lots, holds or hash chain.
"""

from __future__ import annotations

from bench.ways.lanes import Lanes
from bench.ways.row_lock import RowLockWay

_SPEND = (
    "WITH taken AS (UPDATE {table} SET balance = balance - $2 WHERE user_id = $1 AND balance >= $2 RETURNING user_id) "
    "INSERT INTO {table}_spends (user_id, amount, created_at) SELECT user_id, $2, now() FROM taken"
)


class OneStatementWay(RowLockWay):
    """The tables of the row lock (``row_lock.prepare``), and a statement that locks, compares, takes and writes."""

    name = "one statement"
    does = "UPDATE … WHERE balance >= amount feeds INSERT"

    def __init__(self, lanes: Lanes, table: str, callers: int = 64) -> None:
        """Spend over these connections from these tables."""
        super().__init__(lanes, table, callers)
        self._spend = _SPEND.format(table=table)

    async def spend(self, wallet: int, credits: int = 1) -> bool:
        """Spend if the balance covers it; False is a refusal."""
        async with self._lanes.lane() as connection:
            return await connection.execute(self._spend, wallet, credits) == "INSERT 0 1"

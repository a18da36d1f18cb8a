"""The source documents' way: read SUM(amount), compare, INSERT. Nothing holds the balance in between."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Sequence

import psycopg
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker

from bench.slices import NANOSECONDS, Slice, closed_loop
from bench.ways import FUNDED
from bench.ways.lanes import Connection, Lanes

_BALANCE = "SELECT COALESCE(SUM(amount), 0) FROM {table} WHERE user_id = {user}"
_INSERT = (
    "INSERT INTO {table} (user_id, amount, description, transaction_type, created_at) "
    "VALUES ({user}, {amount}, {description}, 'service', NOW())"
)
_DESCRIPTION = "Print job"


def prepare(url: str, table: str, wallets: Sequence[int], credits: int = FUNDED) -> None:
    """Make the documents' table under this name, indexed by user, with ``credits`` for each user."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            f"CREATE TABLE {table} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
            "user_id bigint NOT NULL, amount bigint NOT NULL, description text, "
            "transaction_type text NOT NULL, created_at timestamptz NOT NULL)"
        )
        connection.execute(
            f"INSERT INTO {table} (user_id, amount, transaction_type, created_at) "
            "SELECT u, %s, 'purchase', now() FROM unnest(%s::bigint[]) AS u",
            [credits, list(wallets)],
        )
        connection.execute(f"CREATE INDEX ON {table} (user_id)")
        connection.execute(f"VACUUM ANALYZE {table}")


class SeedsWay:
    """The two statements of document 000, straight through asyncpg."""

    name = "seeds, asyncpg"
    callers = 64

    def __init__(self, lanes: Lanes, table: str) -> None:
        """Spend over these connections from this table."""
        self._lanes = lanes
        self._table = table
        self._balance = _BALANCE.format(table=table, user="$1")
        self._insert = _INSERT.format(table=table, user="$1", amount="$2", description="$3")
        self.remark = ""

    def use(self, connections: int) -> None:
        """Use this many connections from now on."""
        self._lanes.use(connections)
        self.remark = f"SELECT SUM, then INSERT; {self.callers} callers, {connections} connections"

    async def spend(self, wallet: int, credits: int = 1) -> bool:
        """Spend if the sum covers it; False is a refusal."""
        async with self._lanes.lane() as connection:
            balance = await connection.fetchval(self._balance, wallet)
            if balance < credits:
                return False
            await connection.execute(self._insert, wallet, -credits, _DESCRIPTION)
            return True

    async def measure(self, wallets: Sequence[int], seconds: float) -> Slice:
        """Spend from these wallets at full speed for a bounded time."""
        return await closed_loop(self.spend, wallets, callers=self.callers, seconds=seconds)

    async def faults(self, accepted: int) -> list[str]:
        """Every acknowledged spend must be a row, and no sum may be negative."""
        async with self._lanes.lane() as connection:
            return await _faults(connection, self._table, accepted)


class SeedsThreadsWay:
    """Document 000's Option 2 as it stands: SQLAlchemy sessions over psycopg2, one thread for each caller."""

    name = "seeds, SQLAlchemy"
    callers = 64

    def __init__(self, url: str, lanes: Lanes, table: str) -> None:
        """Spend from this table; ``lanes`` only check the books."""
        driver_url = url.replace("postgresql://", "postgresql+psycopg2://", 1)
        self._engine = create_engine(driver_url, pool_size=self.callers, max_overflow=0)
        self._session = sessionmaker(bind=self._engine)
        self._lanes = lanes
        self._table = table
        self._balance = text(_BALANCE.format(table=table, user=":user_id"))
        self._insert = text(
            _INSERT.format(table=table, user=":user_id", amount=":amount", description=":description")
        )
        self.remark = f"as document 000 has it, over psycopg2; {self.callers} threads"

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _sum(self, wallet: int) -> int:
        with self._session() as session:
            return int(session.execute(self._balance, {"user_id": wallet}).scalar() or 0)

    def _spend(self, wallet: int) -> bool:
        session: Session
        with self._session() as session:
            if self._sum(wallet) < 1:
                return False
            values = {"user_id": wallet, "amount": -1, "description": _DESCRIPTION}
            session.execute(self._insert, values)
            session.commit()
            return True

    async def measure(self, wallets: Sequence[int], seconds: float) -> Slice:
        """Spend from these wallets at full speed for a bounded time."""
        return await asyncio.to_thread(self._measure, wallets, seconds)

    def _measure(self, wallets: Sequence[int], seconds: float) -> Slice:
        taken = Slice()
        began = time.perf_counter_ns()
        deadline = began + int(seconds * NANOSECONDS)
        guard = threading.Lock()
        broken: list[Exception] = []

        def caller() -> None:
            pick = random.Random()
            try:
                while (now := time.perf_counter_ns()) < deadline and not broken:
                    accepted = self._spend(pick.choice(wallets))
                    with guard:
                        taken.add(now, accepted, not accepted)
            except Exception as problem:  # noqa: BLE001 - raised again below, in the caller's thread
                broken.append(problem)

        threads = [threading.Thread(target=caller) for _ in range(self.callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if broken:
            raise broken[0]
        taken.elapsed_ns = time.perf_counter_ns() - began
        return taken

    async def faults(self, accepted: int) -> list[str]:
        """Every acknowledged spend must be a row, and no sum may be negative."""
        async with self._lanes.lane() as connection:
            return await _faults(connection, self._table, accepted)


async def _faults(connection: Connection, table: str, accepted: int) -> list[str]:
    spends = await connection.fetchval(f"SELECT count(*) FROM {table} WHERE transaction_type = 'service'")
    overspent = await connection.fetchval(
        f"SELECT count(*) FROM (SELECT user_id FROM {table} GROUP BY user_id HAVING sum(amount) < 0) AS o"
    )
    found = []
    if spends != accepted:
        found.append(f"{accepted} spends acknowledged, {spends} found")
    if overspent:
        found.append(f"{overspent} wallets overspent")
    return found

"""Connections to PostgreSQL: how they are set up, and what runs statements on one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

from tallybook.postgres.failures import translated
from tallybook.postgres.statements import Statement

Row = asyncpg.Record
FAST_LOCK_TIMEOUT_MS = 2_000
ACQUIRE_TIMEOUT_SECONDS = 10
CLOSE_TIMEOUT_SECONDS = 5


class Transaction:
    """A transaction (or a snapshot): runs named statements. Only ``Database`` and its lines make them."""

    def __init__(self, connection: asyncpg.pool.PoolConnectionProxy[Row] | asyncpg.Connection[Row]) -> None:
        """Run on this connection."""
        self._connection = connection
        self.touched_callers = False

    def changes_callers(self) -> None:
        """Say that this transaction changes who may call: what is remembered of that is forgotten as it ends."""
        self.touched_callers = True

    async def many(self, statement: Statement, **values: Any) -> list[Row]:
        """All rows."""
        return await self._connection.fetch(statement.text, *_ordered(statement, values))

    async def stream(self, statement: Statement, **values: Any) -> AsyncIterator[Row]:
        """All rows one after another, a few hundred at a time in memory."""
        async for row in self._connection.cursor(statement.text, *_ordered(statement, values), prefetch=500):
            yield row

    async def maybe(self, statement: Statement, **values: Any) -> Row | None:
        """The row, or None."""
        return await self._connection.fetchrow(statement.text, *_ordered(statement, values))

    async def one(self, statement: Statement, **values: Any) -> Row:
        """The row, which must be there."""
        row = await self.maybe(statement, **values)
        assert row is not None, statement.name
        return row

    async def run(self, statement: Statement, **values: Any) -> None:
        """No rows wanted."""
        await self._connection.execute(statement.text, *_ordered(statement, values))


def _ordered(statement: Statement, values: dict[str, Any]) -> Sequence[Any]:
    assert values.keys() == set(statement.parameters), (statement.name, sorted(values))
    return [values[name] for name in statement.parameters]


def limits(lock_timeout_ms: int) -> dict[str, str]:
    """Settings of a connection: what the server does when this process freezes or is lost within a transaction."""
    return {
        "lock_timeout": str(lock_timeout_ms),
        # Longer than a call to Stripe with its retries, which the catalogue's push makes under its lock.
        "idle_in_transaction_session_timeout": "90s",
        "tcp_keepalives_idle": "30",
        "tcp_keepalives_interval": "10",
        "tcp_keepalives_count": "3",
        "application_name": "tallybook",
    }


def _read_json(text: str) -> Any:
    """The value of a jsonb; what PostgreSQL takes and Python does not must not make a whole history unreadable."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return {"unreadable": True}


class Line:
    """A connection of its own for single statements: each is a transaction by itself and takes one round trip.

    Opened when it is first needed, and again after it was lost. For one user at a time.
    """

    def __init__(self, url: str) -> None:
        """Use ``Database.line`` instead."""
        self._url = url
        self._connection: asyncpg.Connection[Row] | None = None

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[Transaction]:
        """Run one statement, which is committed when its answer comes.

        Raises:
            DatabaseUnavailableError: whether it was committed is not known.
            WalletBusyError: a lock time-out.
        """
        with translated():
            if self._connection is None or self._connection.is_closed():
                self._connection = await connect_alone(self._url)
            try:
                yield Transaction(self._connection)
            except asyncpg.PostgresError:
                # The server refused the statement; the connection is as good as before, or will be found closed.
                raise
            except Exception:
                self._connection.terminate()
                raise

    async def close(self) -> None:
        """Give the connection back; nothing may be running."""
        if self._connection is not None and not self._connection.is_closed():
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await self._connection.close(timeout=CLOSE_TIMEOUT_SECONDS)


async def connect_alone(url: str) -> asyncpg.Connection[Row]:
    """A connection that belongs to no pool, as the service's role."""
    connection = await asyncpg.connect(
        url,
        timeout=ACQUIRE_TIMEOUT_SECONDS,
        command_timeout=30,
        server_settings={
            **limits(FAST_LOCK_TIMEOUT_MS),
            "default_transaction_isolation": "read committed",
            "default_transaction_read_only": "off",
        },
    )
    await prepare(connection)
    return connection


async def prepare(connection: asyncpg.Connection[Row]) -> None:
    """Read and write jsonb as values."""
    await connection.set_type_codec(
        "jsonb", encoder=json.dumps, decoder=_read_json, schema="pg_catalog", format="text"
    )

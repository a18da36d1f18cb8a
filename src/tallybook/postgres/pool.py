"""The way into PostgreSQL: ``transaction()`` and ``snapshot()``, over a fast lane and a patient one.

The fast lane never waits for a wallet that somebody else's transaction holds. What would have to wait goes to the
patient lane, a few connections with a lock time-out, where each wallet has one turn at a time: so one stuck wallet
uses up neither the connections that everyone shares nor those for the patient.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

import asyncpg

from tallybook.domain.errors import WalletBusyError
from tallybook.postgres.failures import translated
from tallybook.postgres.statements import Statement

Row = asyncpg.Record
FAST_CONNECTIONS = 16
PATIENT_CONNECTIONS = 8
FAST_LOCK_TIMEOUT_MS = 2_000
PATIENT_LOCK_TIMEOUT_MS = 4_000
TURN_TIMEOUT_SECONDS = 4
ACQUIRE_TIMEOUT_SECONDS = 10
CLOSE_TIMEOUT_SECONDS = 5


class Transaction:
    """A transaction (or a snapshot): runs named statements. Only ``Database`` makes them."""

    def __init__(self, connection: asyncpg.pool.PoolConnectionProxy[Row] | asyncpg.Connection[Row]) -> None:
        """Run on this connection."""
        self._connection = connection

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


def _limits(lock_timeout_ms: int) -> dict[str, str]:
    """What the server does when this process freezes or its machine is lost in the middle of a transaction."""
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


async def _nothing_to_reset(_: object) -> None:
    """Transactions are all that happens on the fast lane: no setting, lock, cursor or listener outlives one."""


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
                self._connection = await _connect_alone(self._url)
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


async def _connect_alone(url: str) -> asyncpg.Connection[Row]:
    connection = await asyncpg.connect(
        url,
        timeout=ACQUIRE_TIMEOUT_SECONDS,
        command_timeout=30,
        server_settings={
            **_limits(FAST_LOCK_TIMEOUT_MS),
            "default_transaction_isolation": "read committed",
            "default_transaction_read_only": "off",
        },
    )
    await _prepare(connection)
    return connection


async def _prepare(connection: asyncpg.Connection[Row]) -> None:
    await connection.set_type_codec(
        "jsonb", encoder=json.dumps, decoder=_read_json, schema="pg_catalog", format="text"
    )


class Database:
    """The service's connections; open with ``connect``, close with ``close``."""

    def __init__(self, url: str, fast: asyncpg.Pool[Row], patient: asyncpg.Pool[Row]) -> None:
        """Use ``connect`` instead."""
        self._url = url
        self._fast = fast
        self._patient = patient
        self._turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        connections: int = FAST_CONNECTIONS,
        patience_ms: int = PATIENT_LOCK_TIMEOUT_MS,
    ) -> Database:
        """Connect as the service's role; ``patience_ms`` is how long the patient lane waits for a lock.

        Raises:
            DatabaseUnavailableError: nothing answers there, or not to us.
        """
        with translated():
            fast = await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=connections,
                init=_prepare,
                command_timeout=30,
                server_settings=_limits(FAST_LOCK_TIMEOUT_MS),
                reset=_nothing_to_reset,
            )
            patient = await asyncpg.create_pool(
                url,
                min_size=0,
                max_size=PATIENT_CONNECTIONS,
                init=_prepare,
                command_timeout=30,
                server_settings=_limits(patience_ms),
            )
        return cls(url, fast, patient)

    async def close(self) -> None:
        """Give the connections back; waits for running statements."""
        await self._fast.close()
        await self._patient.close()

    @asynccontextmanager
    async def transaction(self, *, patient: bool = False) -> AsyncIterator[Transaction]:
        """One read-write transaction: commits at the end of the block, rolls back on any exception.

        Raises:
            DatabaseUnavailableError: the outcome may be unknown; retry with the same key.
            WalletBusyError: a lock time-out on the patient lane.
        """
        pool = self._patient if patient else self._fast
        with translated():
            async with (
                pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection,
                connection.transaction(isolation="read_committed"),
            ):
                yield Transaction(connection)

    def line(self) -> Line:
        """A connection of its own for single statements; whoever asks for it closes it."""
        return Line(self._url)

    @asynccontextmanager
    async def unhurried_snapshot(self) -> AsyncIterator[Transaction]:
        """A snapshot on a connection of its own and without a time limit, for reads of the whole ledger."""
        with translated():
            connection = await asyncpg.connect(self._url)
            try:
                await _prepare(connection)
                async with connection.transaction(isolation="repeatable_read", readonly=True):
                    yield Transaction(connection)
            finally:
                await connection.close()

    @asynccontextmanager
    async def turn(self, wallet_id: int) -> AsyncIterator[None]:
        """Wait in this process for a wallet's turn on the patient lane, holding no connection meanwhile.

        Raises:
            WalletBusyError: it did not come in time.
        """
        lock = self._turns.setdefault(wallet_id, asyncio.Lock())
        try:
            async with asyncio.timeout(TURN_TIMEOUT_SECONDS):
                await lock.acquire()
        except TimeoutError:
            raise WalletBusyError from None
        try:
            yield
        finally:
            lock.release()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Transaction]:
        """Reads that agree with each other: one repeatable-read, read-only transaction."""
        with translated():
            async with (
                self._fast.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                yield Transaction(connection)

    @asynccontextmanager
    async def listening(self, channel: str, heard: Callable[[], None]) -> AsyncIterator[asyncio.Event]:
        """Call ``heard`` on each NOTIFY of a channel; the event is set when the connection is lost.

        A wake-up call only: one may be missed, so look for yourself now and then as well.

        Raises:
            DatabaseUnavailableError: nothing answers.
        """
        lost = asyncio.Event()
        with translated():
            async with self._patient.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
                listener = partial(_pass_on, heard)
                connection.add_termination_listener(lambda _: lost.set())
                await connection.add_listener(channel, listener)
                try:
                    yield lost
                finally:
                    if not connection.is_closed():
                        await connection.remove_listener(channel, listener)


def _pass_on(heard: Callable[[], None], *_: object) -> None:
    heard()

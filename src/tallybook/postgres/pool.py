"""The way into PostgreSQL: ``transaction()`` and ``snapshot()``, over a fast lane and a patient one.

The fast lane never waits for a wallet that somebody else's transaction holds. What would have to wait goes to the
patient lane, a few connections with a lock time-out, where each wallet has one turn at a time: so one stuck wallet
uses up neither the connections that everyone shares nor those for the patient.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from weakref import WeakValueDictionary

import asyncpg
import structlog

from tallybook.domain.errors import BillingError, WalletBusyError
from tallybook.postgres.connections import (
    ACQUIRE_TIMEOUT_SECONDS,
    FAST_LOCK_TIMEOUT_MS,
    Line,
    Row,
    Transaction,
    connect_alone,
    limits,
    prepare,
)
from tallybook.postgres.failures import translated
from tallybook.postgres.statements import Statement

__all__ = ["Database", "Line", "Row", "Transaction"]
FAST_CONNECTIONS = 16
PATIENT_CONNECTIONS = 8
PATIENT_LOCK_TIMEOUT_MS = 4_000
TURN_TIMEOUT_SECONDS = 4
CLOSE_TIMEOUT_SECONDS = 5
_log = structlog.get_logger("tallybook.postgres")


async def _nothing_to_reset(_: object) -> None:
    """Transactions are all that happens on the fast lane: no setting, lock, cursor or listener outlives one."""


class Database:
    """The service's connections; open with ``connect``, close with ``close``."""

    def __init__(self, url: str, fast: asyncpg.Pool[Row], patient: asyncpg.Pool[Row]) -> None:
        """Use ``connect`` instead."""
        self._url = url
        self._fast = fast
        self._patient = patient
        self._turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._forget_callers: Callable[[], None] = _nothing
        self._wanted: dict[str, Statement] = {}
        self._running_soon: asyncio.Task[None] | None = None

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
                init=prepare,
                command_timeout=30,
                server_settings=limits(FAST_LOCK_TIMEOUT_MS),
                reset=_nothing_to_reset,
            )
            patient = await asyncpg.create_pool(
                url,
                min_size=0,
                max_size=PATIENT_CONNECTIONS,
                init=prepare,
                command_timeout=30,
                server_settings=limits(patience_ms),
            )
        return cls(url, fast, patient)

    async def close(self) -> None:
        """Give the connections back; waits for running statements."""
        if self._running_soon is not None:
            await asyncio.wait([self._running_soon], timeout=CLOSE_TIMEOUT_SECONDS)
        await self._fast.close()
        await self._patient.close()

    def when_callers_change(self, forget: Callable[[], None]) -> None:
        """Call this when a transaction that changed who may call has ended, before anybody is answered."""
        self._forget_callers = forget

    @asynccontextmanager
    async def transaction(self, *, patient: bool = False) -> AsyncIterator[Transaction]:
        """One read-write transaction: commits at the end of the block, rolls back on any exception.

        Raises:
            DatabaseUnavailableError: the outcome may be unknown; retry with the same key.
            WalletBusyError: a lock time-out on the patient lane.
        """
        pool = self._patient if patient else self._fast
        with translated():
            async with pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
                tx = Transaction(connection)
                try:
                    async with connection.transaction(isolation="read_committed"):
                        yield tx
                finally:
                    if tx.touched_callers:
                        self._forget_callers()

    def line(self) -> Line:
        """A connection of its own for single statements; whoever asks for it closes it."""
        return Line(self._url)

    @asynccontextmanager
    async def unhurried_snapshot(self) -> AsyncIterator[Transaction]:
        """A snapshot on a connection of its own and without a time limit, for reads of the whole ledger."""
        with translated():
            connection = await asyncpg.connect(self._url)
            try:
                await prepare(connection)
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
    async def glance(self) -> AsyncIterator[Transaction]:
        """One statement that only reads, with no transaction around it: one round trip."""
        with translated():
            async with self._fast.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
                yield Transaction(connection)

    def run_soon(self, statement: Statement) -> None:
        """Run a statement that nobody waits for, once for all who want it meanwhile; it may be lost.

        For NOTIFY: who commits one holds a lock of the whole database until the commit is on the disk, so transactions
        that each brought one would commit one after another.
        """
        self._wanted[statement.name] = statement
        if self._running_soon is None:
            self._running_soon = asyncio.create_task(self._run_wanted())

    async def _run_wanted(self) -> None:
        try:
            while self._wanted:
                _, statement = self._wanted.popitem()
                try:
                    async with self.glance() as tx:
                        await tx.run(statement)
                except BillingError as refusal:
                    _log.warning("not_run_soon", statement=statement.name, code=refusal.code)
                except asyncpg.PostgresError:
                    # Nobody waits for it who could be told.
                    _log.exception("not_run_soon", statement=statement.name)
        finally:
            self._running_soon = None

    @asynccontextmanager
    async def listening(self, channel: str, heard: Callable[[str], None]) -> AsyncIterator[Ear]:
        """Call ``heard`` with the text of each NOTIFY of a channel.

        Raises:
            DatabaseUnavailableError: nothing answers.
        """
        with translated():
            connection = await connect_alone(self._url)
            try:
                ear = Ear(connection, channel)
                await connection.add_listener(channel, partial(_pass_on, heard))
                yield ear
            finally:
                connection.terminate()


class Ear:
    """A connection that listens."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record], channel: str) -> None:
        """Notice when the connection ends."""
        self._connection = connection
        self._channel = channel
        self.lost = asyncio.Event()
        connection.add_termination_listener(lambda _: self.lost.set())

    async def ask(self, *, seconds: float) -> None:
        """Return when the database has answered: whatever it told before that was heard.

        Raises:
            DatabaseUnavailableError: it does not answer in time.
        """
        # Said again it changes nothing, and the answer comes behind all that was told.
        await self._connection.execute(f"LISTEN {self._channel}", timeout=seconds)

    async def wait(self, *, seconds: float) -> bool:
        """Whether the connection was lost; waits for that for so long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.lost.wait(), seconds)
        return self.lost.is_set()


def _pass_on(heard: Callable[[str], None], *told: object) -> None:
    heard(str(told[-1]))


def _nothing() -> None:
    pass

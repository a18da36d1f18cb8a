"""The outbox file: an SQLite database that is on disk before a caller is told yes.

Each process has one connection, used by one thread at a time; a forked child opens its own. Processes
of one machine may share the file.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from credit_sdk.errors import OutboxUnavailableError, SettingsError

LAYOUT = 1
BUSY_SECONDS = 10.0
_OPENING_ATTEMPTS = 50
_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL)
    """,
    """
    CREATE TABLE IF NOT EXISTS leases (
        id INTEGER PRIMARY KEY,
        holder TEXT NOT NULL,
        budget TEXT,
        key TEXT NOT NULL UNIQUE,
        -- placing: asked for; open: spends are taken from it; retiring: replaced; ended; refused: was not granted
        state TEXT NOT NULL CHECK (state IN ('placing', 'open', 'retiring', 'ended', 'refused')),
        amount_micro INTEGER NOT NULL CHECK (amount_micro > 0),
        drawn_micro INTEGER NOT NULL DEFAULT 0 CHECK (drawn_micro BETWEEN 0 AND amount_micro),
        hold TEXT,
        wallet TEXT,
        balances TEXT,
        asked_at INTEGER NOT NULL,
        valid_until INTEGER NOT NULL,
        used_at INTEGER NOT NULL,
        claimed_until INTEGER NOT NULL DEFAULT 0
    )
    """,
    """
    CREATE UNIQUE INDEX IF NOT EXISTS leases_open ON leases (holder, ifnull(budget, ''), state)
    WHERE state IN ('placing', 'open')
    """,
    """
    CREATE TABLE IF NOT EXISTS spends (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        holder TEXT NOT NULL,
        key TEXT NOT NULL,
        amount_micro INTEGER NOT NULL CHECK (amount_micro > 0),
        body TEXT NOT NULL,
        lease INTEGER REFERENCES leases (id),
        state TEXT NOT NULL CHECK (state IN ('pending', 'collected', 'uncollected', 'refused')),
        step TEXT NOT NULL,
        tries INTEGER NOT NULL DEFAULT 0,
        problem TEXT,
        facts TEXT,
        answer TEXT,
        told INTEGER NOT NULL DEFAULT 0,
        created_at INTEGER NOT NULL,
        settled_at INTEGER,
        claimed_by TEXT,
        claimed_until INTEGER NOT NULL DEFAULT 0,
        UNIQUE (holder, key)
    )
    """,
    """
    CREATE VIEW IF NOT EXISTS lines AS
    SELECT spends.*, leases.hold FROM spends LEFT JOIN leases ON leases.id = spends.lease
    """,
    """
    CREATE INDEX IF NOT EXISTS spends_pending ON spends (id) WHERE state = 'pending'
    """,
    """
    CREATE INDEX IF NOT EXISTS spends_pending_of_lease ON spends (lease) WHERE state = 'pending'
    """,
)


class Store:
    """The file, opened when it is first needed."""

    def __init__(self, path: str | os.PathLike[str], service: str) -> None:
        """``service`` is the address whose spends are kept in it: another one is refused."""
        self._path = os.fspath(path)
        self._service = service
        # By process: neither a connection nor a lock may cross a fork.
        self._opened: dict[int, tuple[threading.RLock, sqlite3.Connection]] = {}
        self._opening = {os.getpid(): threading.Lock()}

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is on disk when the block is left; nobody else writes meanwhile.

        Raises:
            OutboxUnavailableError: the file cannot be written; nothing was.
        """
        lock, connection = self._mine()
        with lock, _as_refusals():
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # A full disk has ended the transaction already.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One look at the file.

        Raises:
            OutboxUnavailableError: the file cannot be read.
        """
        lock, connection = self._mine()
        with lock, _as_refusals():
            yield connection

    def close(self) -> None:
        """Give the file back; the next use opens it again."""
        mine = self._opened.pop(os.getpid(), None)
        if mine is not None:
            with mine[0]:
                mine[1].close()

    def _mine(self) -> tuple[threading.RLock, sqlite3.Connection]:
        pid = os.getpid()
        found = self._opened.get(pid)
        if found is None:
            with self._opening.setdefault(pid, threading.Lock()), _as_refusals():
                found = self._opened.get(pid)
                if found is None:
                    found = self._opened[pid] = (threading.RLock(), self._open())
        return found

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            connection.row_factory = sqlite3.Row
            _write_ahead(connection)
            connection.execute("PRAGMA synchronous = FULL")
            self._lay_out(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _lay_out(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        for table in _TABLES:
            connection.execute(table)
        connection.execute(
            "INSERT OR IGNORE INTO about VALUES ('layout', ?), ('service', ?)", (LAYOUT, self._service)
        )
        about = dict(connection.execute("SELECT name, value FROM about").fetchall())
        connection.execute("COMMIT")
        if about["layout"] != str(LAYOUT):
            message = f"The outbox {self._path} was written by another version of the SDK."
            raise SettingsError(message)
        if about["service"] != self._service:
            message = (
                f"The outbox {self._path} belongs to {about['service']}, not to {self._service}:"
                " settle it there, and use another file here."
            )
            raise SettingsError(message)


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log; two processes that make the file at once meet here, unheeded by the time-out."""
    for attempt in range(_OPENING_ATTEMPTS):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if attempt == _OPENING_ATTEMPTS - 1:
                raise
            time.sleep(0.02)
        else:
            return


@contextmanager
def _as_refusals() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as problem:
        _refuse(problem)


def _refuse(problem: sqlite3.Error) -> NoReturn:
    message = f"The outbox cannot be used ({problem}), so nothing was accepted."
    raise OutboxUnavailableError(message) from problem

"""Credits over direct SQL: the views that an app's login role sees, and nothing else of the database.

``change_credits`` is a request to the ledger, so it cannot overspend, and its refusals are stored. This is
the only module that imports psycopg, and it is loaded only when a PostgreSQL URL is used.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from credit_sdk.amounts import MICRO
from credit_sdk.errors import (
    BY_CODE,
    CreditError,
    DatabaseUnavailableError,
    PermissionDeniedError,
    SettingsError,
    UserNotFoundError,
    refusal,
)
from credit_sdk.retries import RetryLimits, retrying

T = TypeVar("T")

_BALANCE: LiteralString = """
    SELECT may('read_credits') AS allowed, (SELECT credits FROM users WHERE id = %(user_id)s)
"""
# Not an INSERT: that would roll a refusal back, and an attempt that was delayed could book after its retry was refused.
_CHANGE: LiteralString = """
    SELECT code, facts FROM change_credits(
        %(user_id)s::bigint, %(amount)s::numeric, %(description)s::text, %(type)s::text, %(metadata)s::jsonb,
        %(key)s::text
    )
"""
# The SQLSTATEs of the views, each with the code it has where the message names none.
_CODES = {
    "TB402": "insufficient_credits",
    "TB403": "permission_denied",
    "TB404": "user_not_found",
    "TB409": "balance_limit",
    "TB422": "amount_out_of_range",
}
# Somebody else's transaction, which ends: lock time-out, statement time-out, deadlock, serialization.
_BUSY = frozenset({"55P03", "57014", "40P01", "40001"})
# What a login sees that is not an app's: no such view, function or schema, or no right to it.
_WRONG_LOGIN = frozenset({"42P01", "42501", "42883", "3F000", "42703"})


class _Connections:
    """A few connections of one process: each for one thread at a time, dropped when broken."""

    def __init__(self, open_one: Callable[[], psycopg.Connection], most: int) -> None:
        self.pid = os.getpid()
        self._open_one = open_one
        self._idle: list[psycopg.Connection] = []
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(most)

    @contextmanager
    def one(self, timeout_seconds: float) -> Iterator[psycopg.Connection]:
        if not self._places.acquire(timeout=timeout_seconds):
            message = "All connections of this CreditSDK are in use: raise max_connections."
            raise _again(DatabaseUnavailableError(message))
        try:
            connection = self._take()
            try:
                yield connection
            finally:
                self._put_back(connection)
        finally:
            self._places.release()

    def _put_back(self, connection: psycopg.Connection) -> None:
        """Keep a connection that a refusal left as it was; a broken one says that the others are too."""
        if connection.info.transaction_status is TransactionStatus.IDLE:
            with self._lock:
                self._idle.append(connection)
            return
        connection.close()
        self.drop_idle()

    def _take(self) -> psycopg.Connection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._open_one()

    def drop_idle(self) -> None:
        """A server that ended one connection has most likely ended them all."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


class DirectSql:
    """The four things that an app does with credits, over its own login to the database."""

    def __init__(
        self,
        url: str,
        *,
        max_connections: int,
        timeout_seconds: float,
        retries: RetryLimits,
    ) -> None:
        """``url`` as libpq reads it; ``timeout_seconds`` is for connecting and for a silent server."""
        self._url = url
        self._most = max_connections
        self._timeout_seconds = timeout_seconds
        self._retries = retries
        self._connections = _Connections(self._open, max_connections)
        self._inherited: list[_Connections] = []

    def _open(self) -> psycopg.Connection:
        return psycopg.connect(
            self._url,
            autocommit=True,
            # Poolers such as PgBouncer lend a server connection for one transaction only.
            prepare_threshold=None,
            connect_timeout=max(2, int(self._timeout_seconds)),
            tcp_user_timeout=int(self._timeout_seconds * 1000),
            application_name="credit_sdk",
        )

    def _own(self) -> _Connections:
        if self._connections.pid != os.getpid():
            # After a fork: the sockets are the parent's, so they are kept unused and never closed here.
            self._inherited.append(self._connections)
            self._connections = _Connections(self._open, self._most)
        return self._connections

    def _run(self, work: Callable[[psycopg.Connection], T], key: str | None = None) -> T:
        def attempt() -> T:
            try:
                with self._own().one(self._timeout_seconds) as connection:
                    return work(connection)
            except psycopg.Error as problem:
                found = _judge(problem)
                found.idempotency_key = key
                raise found from problem

        return retrying(self._retries)(attempt)

    def available_micro(self, user_id: int) -> int:
        """What a user can spend now, in micro-credits.

        Raises:
            UserNotFoundError: there is no such user. PermissionDeniedError: the app lacks
                ``read_credits``.
        """

        def read(connection: psycopg.Connection) -> tuple[bool, Decimal | None]:
            row = connection.execute(_BALANCE, {"user_id": user_id}).fetchone()
            assert row is not None
            return row[0], row[1]

        allowed, credits = self._run(read)
        if not allowed:
            raise PermissionDeniedError(facts={"permission": "read_credits"})
        if credits is None:
            raise UserNotFoundError(facts={"user_id": user_id})
        return int(credits * MICRO)

    def spend(self, user_id: int, micro: int, note: Mapping[str, Any], key: str) -> None:
        """Spend micro-credits of a user; ``note`` has ``description`` and ``metadata``.

        Raises:
            InsufficientCreditsError: not enough; nothing was taken.
        """
        self._change(user_id, -micro, "service", note, key)

    def grant(self, user_id: int, micro: int, note: Mapping[str, Any], key: str) -> None:
        """Add micro-credits to a user's wallet.

        Raises:
            PermissionDeniedError: the app lacks ``grant_credits``.
        """
        self._change(user_id, micro, "credit_addition", note, key)

    def _change(self, user_id: int, micro: int, kind: str, note: Mapping[str, Any], key: str) -> None:
        metadata = note.get("metadata")
        values = {
            "user_id": user_id,
            "amount": Decimal(micro).scaleb(-6),
            "description": note.get("description"),
            "type": kind,
            "metadata": None if metadata is None else json.dumps(metadata),
            "key": key,
        }

        def change(connection: psycopg.Connection) -> tuple[str, dict[str, Any] | None]:
            row = connection.execute(_CHANGE, values).fetchone()
            assert row is not None
            return row[0], row[1]

        code, facts = self._run(change, key)
        if code != "ok":
            found = refusal(code, facts=facts or {})
            found.idempotency_key = key
            raise found

    def close(self) -> None:
        """Close the connections of this process; the next call opens new ones."""
        self._own().drop_idle()


def _again(found: CreditError) -> CreditError:
    found.retryable = True
    return found


def _judge(problem: psycopg.Error) -> CreditError:
    """The SDK's exception for what the database or the connection said."""
    state = problem.sqlstate
    if state in _CODES:
        return _refused(problem, _CODES[state])
    if state in _BUSY:
        return _again(refusal("wallet_busy"))
    if state in _WRONG_LOGIN:
        return SettingsError(
            "This login does not see the views: use the app's own database login"
            " (an admin creates it), whose search_path is apps."
        )
    if isinstance(problem, psycopg.OperationalError | psycopg.InterfaceError):
        return _again(DatabaseUnavailableError(f"The database cannot be reached: {problem}"))
    return refusal("invalid_request", f"The database refused the request: {problem}")


def _refused(problem: psycopg.Error, otherwise: str) -> CreditError:
    text = problem.diag.message_primary or ""
    named, _, rest = text.partition(":")
    code = named if named in BY_CODE else otherwise
    facts: dict[str, Any] = {}
    if problem.diag.message_detail:
        facts = json.loads(problem.diag.message_detail)
    plain = None if facts or not rest.strip() else f"{BY_CODE[code]().message} ({rest.strip()})"
    return refusal(code, plain, facts=facts)

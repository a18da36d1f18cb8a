"""Driver failures to refusals: nothing above this floor ever sees a driver's exception."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from tallybook.domain.errors import DatabaseUnavailableError, WalletBusyError

_UNAVAILABLE = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # A connection that the dying server told so while it was idle: the driver finds it in a state it cannot leave.
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    # Too many connections, no memory, no disk.
    asyncpg.InsufficientResourcesError,
    # A server that is told to be stricter than we ask, or that fails over to a standby.
    asyncpg.SerializationError,
    asyncpg.ReadOnlySQLTransactionError,
    # The database is closed to connections, as during maintenance.
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.QueryCanceledError,
    ConnectionError,
    TimeoutError,
    OSError,
)


@contextmanager
def translated() -> Iterator[None]:
    """Turn an outage into ``database_unavailable`` and a lock time-out into ``wallet_busy``; both are retried.

    Everything else a driver raises is a bug and passes through.
    """
    try:
        yield
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as failure:
        raise WalletBusyError from failure
    except _UNAVAILABLE as failure:
        raise DatabaseUnavailableError from failure

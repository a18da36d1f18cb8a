"""Ways in which PostgreSQL stops answering for a while, of a server that this run has started."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg

_POSTING = "SELECT pid FROM pg_stat_activity WHERE application_name = 'tallybook' AND query LIKE '%tallybook.post\\_v%'"
_ALL = "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
_POSTMASTER = "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int"


@contextmanager
def posting(url: str) -> Iterator[None]:
    """Those backends that post are frozen (SIGSTOP); all others answer."""
    with psycopg.connect(url) as connection:
        pids = [int(pid) for (pid,) in connection.execute(_POSTING).fetchall()]
    assert pids, "nobody has posted yet"
    with _frozen(pids):
        yield


@contextmanager
def everything(url: str) -> Iterator[None]:
    """The whole server is frozen."""
    with psycopg.connect(url) as connection:
        pids = [int(pid) for (pid,) in connection.execute(f"{_POSTMASTER} UNION ALL {_ALL}").fetchall()]
    with _frozen(pids):
        yield


@contextmanager
def lock(url: str) -> Iterator[None]:
    """Somebody's open transaction lets nobody write transfers."""
    with psycopg.connect(url) as connection:
        connection.execute("LOCK TABLE tallybook.transfers IN EXCLUSIVE MODE")
        yield
        connection.rollback()


STALLS: dict[str, Callable[[str], AbstractContextManager[None]]] = {
    "posting": posting,
    "everything": everything,
    "lock": lock,
}


@contextmanager
def _frozen(pids: list[int]) -> Iterator[None]:
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

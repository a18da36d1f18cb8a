"""What PostgreSQL did meanwhile: checkpoints, WAL, blocks that were not in its buffers, processor time."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import psycopg

_NOW = (
    "SELECT c.num_timed + c.num_requested, w.wal_bytes::bigint, w.wal_fpi, d.blks_read "
    "FROM pg_stat_checkpointer AS c, pg_stat_wal AS w, pg_stat_database AS d "
    "WHERE d.datname = current_database()"
)

# A worker of autovacuum comes and goes: what it has used between two looks is not known.
_PIDS = (
    "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type <> 'autovacuum worker'"
)


@dataclass(frozen=True, slots=True)
class Vitals:
    """Counters since the server was made, or between two looks."""

    checkpoints: int = 0
    wal_bytes: int = 0
    wal_full_pages: int = 0
    blocks_read: int = 0
    cpu_ms: int = 0

    def __add__(self, more: Self) -> Vitals:
        """Both together."""
        return Vitals(*(getattr(self, field.name) + getattr(more, field.name) for field in fields(Vitals)))

    def __sub__(self, before: Self) -> Vitals:
        """What happened since ``before``."""
        return Vitals(*(getattr(self, field.name) - getattr(before, field.name) for field in fields(Vitals)))


def look(url: str) -> Vitals:
    """The counters now, of a server on this machine."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(_NOW).fetchone()
        pids = connection.execute(_PIDS).fetchall()
    assert row is not None
    checkpoints, wal_bytes, wal_full_pages, blocks_read = map(int, row)
    return Vitals(
        checkpoints, wal_bytes, wal_full_pages, blocks_read, sum(_cpu_ms(int(pid)) for (pid,) in pids)
    )


def _cpu_ms(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return 0
    # Behind the name, which may hold blanks: the 14th and 15th field of all.
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) * 1000 // os.sysconf("SC_CLK_TCK")

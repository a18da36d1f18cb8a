"""What the figures were seen on: cores, versions, PostgreSQL's settings, the disk, the load beside us."""

from __future__ import annotations

import os
import platform
import statistics
import time
from pathlib import Path

import psycopg

from bench.sheets import Sheet

_SETTINGS = (
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_level",
    "shared_buffers",
    "max_connections",
)
_SYNCS = 50


def describe(superuser_url: str, folder: Path) -> dict[str, str]:
    """The facts that a reader needs to judge the figures, as short texts."""
    with psycopg.connect(superuser_url) as connection:
        version = connection.execute("SHOW server_version").fetchone()
        assert version is not None
        settings = []
        for name in _SETTINGS:
            row = connection.execute(f"SHOW {name}").fetchone()
            assert row is not None
            settings.append(f"{name}={row[0]}")
    return {
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "PostgreSQL": f"{version[0]} (embedded, on the same machine)",
        "settings": ", ".join(settings),
        "disk sync": f"{_sync_microseconds(folder)} µs, median of {_SYNCS}",
        "load before": load(),
    }


def sheet(facts: dict[str, str]) -> Sheet:
    """The facts as a table."""
    return Sheet("The machine", ("", ""), list(facts.items()))


def load() -> str:
    """The load average of the last minute: above the number of cores, somebody had to wait."""
    return f"{os.getloadavg()[0]:.2f}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _sync_microseconds(folder: Path) -> int:
    """How long the disk takes to keep 8 KiB: what each commit of a single spend has to wait for."""
    taken = []
    path = folder / "sync"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for _ in range(_SYNCS):
            began = time.perf_counter_ns()
            os.pwrite(descriptor, b"\0" * 8192, 0)
            os.fdatasync(descriptor)
            taken.append(time.perf_counter_ns() - began)
    finally:
        os.close(descriptor)
        path.unlink()
    return int(statistics.median(taken)) // 1000

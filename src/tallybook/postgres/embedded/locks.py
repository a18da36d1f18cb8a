"""File locks of the embedded server's folder; who takes which one when is up to ``server.py``.

The kernel drops a lock when the last process that has it open ends in any way: a SIGKILL leaves
none behind.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tallybook.postgres.embedded.errors import EmbeddedPostgresError


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except PermissionError as error:
        raise EmbeddedPostgresError(
            f"{path} belongs to another account. Run as the account that owns {path.parent}, "
            "or choose another folder for the embedded PostgreSQL."
        ) from error


def _try(descriptor: int, operation: int) -> bool:
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{text}\n".encode(), 0)


def try_to_own(path: Path) -> int | None:
    """Take the lock alone if nobody has it; the descriptor can be passed on to a child."""
    descriptor = _open(path)
    if _try(descriptor, fcntl.LOCK_EX):
        return descriptor
    os.close(descriptor)
    return None


@contextmanager
def exclusive(path: Path, *, timeout: float) -> Iterator[None]:
    """Hold the lock alone; after ``timeout`` seconds of waiting say who has it."""
    descriptor = _open(path)
    try:
        deadline = time.monotonic() + timeout
        while not _try(descriptor, fcntl.LOCK_EX):
            if time.monotonic() >= deadline:
                holder = path.read_text().strip() or "unknown"
                raise EmbeddedPostgresError(
                    f"Process {holder} has been starting or stopping the PostgreSQL in "
                    f"{path.parent} for more than {timeout:.0f} s. Wait for it, or end it, then "
                    "try again."
                )
            time.sleep(0.02)
        _write(descriptor, str(os.getpid()))
        yield
    finally:
        os.close(descriptor)


def _machine() -> str:
    """Name what shares our process ids: another container does not, and cannot be adopted from."""
    namespace = Path("/proc/self/ns/pid")
    return str(namespace.readlink()) if namespace.exists() else socket.gethostname()


class SharedUse:
    """One user's share in the running server; the last one to leave turns off the light."""

    def __init__(self, path: Path) -> None:
        """Name the lock file; nothing is opened yet."""
        self._path = path
        self._descriptor: int | None = None

    def joined(self) -> bool:
        """Tell whether this user has a share."""
        return self._descriptor is not None

    def join(self) -> None:
        """Take a share, under the exclusive lock; twice is the same as once."""
        if self._descriptor is not None:
            return
        descriptor = _open(self._path)
        if _try(descriptor, fcntl.LOCK_EX):
            _write(descriptor, _machine())
        elif self._path.read_text().strip() != _machine():
            os.close(descriptor)
            raise EmbeddedPostgresError(
                f"The PostgreSQL in {self._path.parent} is in use from another container. Stop it "
                "there, or give each container a folder of its own."
            )
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        self._descriptor = descriptor

    def leave(self) -> bool:
        """Give the share back, under the exclusive lock; tell whether nobody else has one."""
        if self._descriptor is None:
            return False
        descriptor, self._descriptor = self._descriptor, None
        try:
            return _try(descriptor, fcntl.LOCK_EX)
        finally:
            os.close(descriptor)

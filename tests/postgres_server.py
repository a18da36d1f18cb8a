"""The PostgreSQL that the tests use; what is inside is up to the tests' own fixtures.

By default one embedded PostgreSQL 18 for a test session (all xdist workers together), in a folder
below the system's temporary one, without durability. ``TALLYBOOK_TEST_POSTGRES=16`` takes the
other version; ``TALLYBOOK_TEST_CONNECTIONS`` lets it take more connections than usual;
``TALLYBOOK_TEST_DATABASE_URL`` takes a server of yours (a superuser's URL) and starts none.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tallybook.postgres.embedded import EmbeddedPostgres

_PREFIX = f"tallybook-tests-{os.getuid()}-"


def _session() -> str:
    """Name this test session: the same in each of its xdist workers."""
    return os.environ.get("PYTEST_XDIST_TESTRUNUID") or f"process{os.getpid()}"


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Let one process at a time make, sweep or remove servers below ``place``."""
    with (place / f"{_PREFIX.rstrip('-')}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sweep(place: Path, keep: Path) -> None:
    """Stop and remove the servers that nobody uses any more: a killed session left them."""
    for home in place.glob(f"{_PREFIX}*"):
        if home == keep or not home.is_dir():
            continue
        with (home / "users.lock").open("a") as users:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
        server = EmbeddedPostgres(home)
        if server.is_running():
            server.start()
            server.stop("immediate")
        shutil.rmtree(home)


def _start(server: EmbeddedPostgres) -> None:
    """Start it, with room for as many connections as were asked for."""
    server.start()
    wanted = int(os.environ.get("TALLYBOOK_TEST_CONNECTIONS", "0"))
    with psycopg.connect(server.superuser_url(), autocommit=True) as connection:
        [has] = connection.execute("SELECT current_setting('max_connections')::integer").fetchone() or [0]
        if wanted <= has:
            return
        connection.execute(f"ALTER SYSTEM SET max_connections = {wanted}")
    server.stop()
    server.start()


@contextmanager
def running_server() -> Iterator[str]:
    """Yield the superuser's URL of a server; it stops when its last user leaves."""
    outside = os.environ.get("TALLYBOOK_TEST_DATABASE_URL")
    if outside:
        yield outside
        return
    version = int(os.environ.get("TALLYBOOK_TEST_POSTGRES", "18"))
    place = Path(tempfile.gettempdir())
    home = place / f"{_PREFIX}{_session()}-{version}"
    server = EmbeddedPostgres(home, version=version, durable=False)
    with _alone(place):
        _sweep(place, keep=home)
        _start(server)
    try:
        yield server.superuser_url()
    finally:
        with _alone(place):
            if server.stop("immediate"):
                shutil.rmtree(home)

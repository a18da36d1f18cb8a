"""The ground every way is measured on: one embedded, durable PostgreSQL of this run's own.

It has the product's database, migrated and with its real roles, and a second one for the ways that the
product is compared with. What is put into the databases is up to the ways.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psycopg
from psycopg import sql

from tallybook.postgres import migrating
from tallybook.postgres.embedded import EmbeddedPostgres
from tallybook.postgres.provisioning import Login, admit, provision

PRODUCT = "tallybook"
COMPARED = "compared"
_OWNER = "tallybook_owner"
_SERVICE = "tallybook_service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A running server and a scratch folder. URLs hold passwords: never print them."""

    folder: Path
    superuser_url: str
    service_url: str
    owner_url: str
    product_url: str
    compared_url: str


def end_when_told() -> None:
    """Let SIGTERM end the run as Ctrl+C does: an exception ends what was started, the default would leave it."""

    def interrupted(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)


@contextmanager
def prepared(*, kept: Path | None = None, settings: Mapping[str, str] | None = None) -> Iterator[Ground]:
    """Start the server in a temporary folder; stop it and remove the folder afterwards.

    ``kept`` is a folder to use instead, which stays. ``settings`` are PostgreSQL's, in place of the product's.
    """
    home = kept or Path(tempfile.gettempdir()) / f"tallybook-bench-{os.getpid()}-{secrets.token_hex(4)}"
    server = EmbeddedPostgres(home, durable=True)
    try:
        with server:
            _set(server, settings or {})
            yield _furnished(home, server)
    finally:
        if kept is None:
            shutil.rmtree(home, ignore_errors=True)


def _set(server: EmbeddedPostgres, settings: Mapping[str, str]) -> None:
    with psycopg.connect(server.superuser_url(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM RESET ALL")
        for name, value in settings.items():
            connection.execute(
                sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value))
            )
    if settings:
        server.stop()
        server.start()


def _furnished(home: Path, server: EmbeddedPostgres) -> Ground:
    superuser_url = server.superuser_url()
    owner = Login(_OWNER, secrets.token_hex(16))
    service = Login(_SERVICE, secrets.token_hex(16))
    provision(superuser_url, database=PRODUCT, owner=owner, service=service)
    owner_url = owner.url(superuser_url, PRODUCT)
    migrating.migrate(owner_url)
    admit(owner_url, service.role)
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {COMPARED}")
        connection.execute(f"CREATE DATABASE {COMPARED}")
    scratch = home / "bench"
    scratch.mkdir(exist_ok=True)
    return Ground(
        folder=scratch,
        superuser_url=superuser_url,
        service_url=service.url(superuser_url, PRODUCT),
        owner_url=owner_url,
        product_url=server.superuser_url(PRODUCT),
        compared_url=server.superuser_url(COMPARED),
    )

"""One running service for all tests of this folder, with its cast; each test leaves it as able as it found it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg
import pytest
from api.cast import Cast, assembled
from databases import OWNER, TestDatabase
from psycopg import sql
from sandbox.process import Running as Sandbox

Staging = Callable[..., AbstractContextManager[Cast]]
_numbers = itertools.count(1)


@contextmanager
def _database(postgres_url: str, template: str) -> Iterator[TestDatabase]:
    """A migrated database for many tests; at its end the books must tie."""
    name = f"test_api_{template.removeprefix('template_')}_{next(_numbers)}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {} STRATEGY wal_log").format(
                sql.Identifier(name), sql.Identifier(template), sql.Identifier(OWNER.role)
            )
        )
    own_url = f"{postgres_url.rpartition('/')[0]}/{name}"
    try:
        yield TestDatabase(name, own_url)
        with psycopg.connect(own_url) as connection:
            faults = connection.execute("SELECT * FROM tallybook.verify_v3()").fetchall()
        assert faults == [], f"the ledger does not tie after these tests: {faults[:3]}"
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def staging(
    postgres_url: str, template: str, stripe_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Staging:
    """Sets up a service with its cast, over a database of its own and with the given settings."""

    @contextmanager
    def staged(**more: str) -> Iterator[Cast]:
        place = tmp_path_factory.mktemp(f"api_{os.getpid()}")
        with (
            _database(postgres_url, template) as database,
            assembled(database, stripe_sandbox, place, **more) as found,
        ):
            yield found
            found.assert_log_holds_no_secret()

    return staged


@pytest.fixture(scope="session")
def cast(staging: Staging) -> Iterator[Cast]:
    """The service and everyone who calls it; afterwards none of their secrets stands in its log."""
    with staging() as found:
        yield found

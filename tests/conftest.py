"""What tests are given: a fresh migrated database each, a frozen clock, a context; and a verified ledger after each.

Everything is real: PostgreSQL, roles and rights as in production. One database is migrated for each worker and
copied for each test. What sandboxes answered and sent in the whole run is held against Stripe's types at its end.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio
import running_service
from chains import chain_faults
from contract import whole_run
from databases import OWNER, SECRET, SERVICE, FrozenClock, TestDatabase
from postgres_server import running_server
from psycopg import sql
from sandbox.process import Running as Sandbox
from sandbox.process import running as running_sandbox

from tallybook import app
from tallybook.postgres import migrating
from tallybook.postgres.provisioning import admit, provision
from tallybook.settings import Settings
from tallybook.usecases.context import Context

_numbers = itertools.count(1)
__all__ = ["OWNER", "SECRET", "SERVICE", "FrozenClock", "TestDatabase"]


def pytest_configure(config: pytest.Config) -> None:
    """Watch what the sandboxes of this run tell."""
    whole_run.watch(config)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A superuser's URL of the session's PostgreSQL."""
    with running_server() as url:
        yield url


@pytest.fixture(scope="session")
def template(postgres_url: str) -> str:
    """The name of a migrated database that tests copy."""
    name = f"template_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        # Roles belong to the server: workers that start together must not make them together.
        connection.execute("SELECT pg_advisory_lock(1)")
        provision(postgres_url, database=name, owner=OWNER, service=SERVICE)
        owner_url = OWNER.url(postgres_url, name)
        migrating.migrate(owner_url)
        admit(owner_url, SERVICE.role)
    return name


def _on(url: str, database: str) -> str:
    return f"{url.rpartition('/')[0]}/{database}"


@pytest.fixture
def database(postgres_url: str, template: str, request: pytest.FixtureRequest) -> Iterator[TestDatabase]:
    """A fresh migrated database; afterwards its books must tie, unless the test broke them on purpose."""
    with a_copy(postgres_url, template, verified="ledger_tampered" not in request.keywords) as copy:
        yield copy


@pytest.fixture
def twin(postgres_url: str, template: str) -> Iterator[TestDatabase]:
    """Another fresh database: what is done in both in the same order gets the same numbers."""
    with a_copy(postgres_url, template, verified=True) as copy:
        yield copy


@contextmanager
def a_copy(postgres_url: str, template: str, *, verified: bool) -> Iterator[TestDatabase]:
    name = f"test_{template.removeprefix('template_')}_{next(_numbers)}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {} STRATEGY wal_log").format(
                sql.Identifier(name), sql.Identifier(template), sql.Identifier(OWNER.role)
            )
        )
    own_url = _on(postgres_url, name)
    try:
        yield TestDatabase(name, own_url)
        if verified:
            with psycopg.connect(own_url) as connection:
                faults: list[object] = [*connection.execute("SELECT * FROM tallybook.verify_v3()")]
                faults += chain_faults(connection)
            assert faults == [], f"the ledger does not tie after this test: {faults[:3]}"
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def clock() -> FrozenClock:
    """A clock that stands still."""
    return FrozenClock()


@pytest.fixture
def settings() -> Settings:
    """Settings of a test installation without Stripe, whatever the environment says."""
    return Settings(_env_file=None, base_url="http://testserver")  # type: ignore[call-arg]


@pytest_asyncio.fixture
async def ctx(database: TestDatabase, settings: Settings, clock: FrozenClock) -> AsyncIterator[Context]:
    """What use cases are given, over this test's database, with a frozen clock and no Stripe."""
    async with app.open_context(settings, database.installation(), clock=clock) as context:
        yield context


@pytest.fixture(scope="session")
def stripe_sandbox() -> Iterator[Sandbox]:
    """One Stripe sandbox for the session; tests keep apart by their customers and webhook endpoints."""
    with running_sandbox(options=("--retry-first", "0.05", "--retry-longest", "0.5")) as process:
        yield process


@pytest.fixture
def running(
    database: TestDatabase, stripe_sandbox: Sandbox, tmp_path: Path
) -> Iterator[running_service.Running]:
    """A running service over this test's database, with a customer, an admin, an app and a catalogue."""
    with running_service.running_service(database, stripe_sandbox, tmp_path) as found:
        yield found

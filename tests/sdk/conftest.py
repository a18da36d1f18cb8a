"""An app with its own database login, and a customer, in a fresh migrated database; and apps that fail open."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from databases import TestDatabase
from running_service import Running
from sdk.gate import Gate, gate_before
from sdk.shops import Shop

PASSWORD = "password-of-the-app"


@dataclass(frozen=True, slots=True)
class AppDatabase:
    """What an app of the tests has: its URL for direct SQL, and a customer of the house."""

    url: str
    superuser_url: str
    app_id: int
    role: str
    user_id: int

    def permit(self, *permissions: str) -> None:
        """Give the app these permissions and no others."""
        change = "UPDATE tallybook.apps SET permissions = %s WHERE app_id = %s"
        self.ask(change, list(permissions), self.app_id)

    def ask(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement as superuser; the rows, if it gives any."""
        with psycopg.connect(self.superuser_url, autocommit=True) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
def app_database(database: TestDatabase) -> AppDatabase:
    """An app with all permissions, its login, and an active customer without credits."""
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        [user_id] = connection.execute(
            "INSERT INTO tallybook.users"
            " (email, email_key, password_hash, sessions_valid_from, created_at, updated_at)"
            " VALUES ('user@example.com', 'user@example.com', '-', now(), now(), now()) RETURNING user_id"
        ).fetchone() or [0]
        [app_id] = connection.execute(
            "INSERT INTO tallybook.apps (public_id, name, permissions, created_at, updated_at)"
            " VALUES ('app_of_the_tests', 'Print', %s, now(), now()) RETURNING app_id",
            [["read_user_info", "read_credits", "consume_credits", "purchase_credits", "grant_credits"]],
        ).fetchone() or [0]
        role = f"{database.name}_app_{app_id}"
        verifier = connection.pgconn.encrypt_password(PASSWORD.encode(), role.encode(), b"scram-sha-256")
        connection.execute("SELECT tallybook.create_app_login_v1(%s, %s)", [app_id, verifier.decode()])
        place = f"{connection.info.host}:{connection.info.port}/{database.name}"
    return AppDatabase(
        f"postgresql://{role}:{PASSWORD}@{place}", database.superuser_url, app_id, role, user_id
    )


@pytest.fixture
def gate(running: Running) -> Iterator[Gate]:
    """A gate before the running service."""
    with gate_before(running.base_url) as found:
        yield found


@pytest_asyncio.fixture
async def shops(running: Running, gate: Gate, tmp_path: Path) -> AsyncIterator[list[Shop]]:
    """An app that fails open of either kind, each with a customer who has a hundred credits."""
    found = [Shop(running, tmp_path, kind, gate) for kind in ("blocking", "awaited")]
    yield found
    for shop in found:
        await shop.close()

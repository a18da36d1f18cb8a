"""The bank under attack: a durable PostgreSQL, the service, a worker and the sandbox, each a process of its own.

Only started, killed, started again and ended here; who does what in it is up to the clients.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import running_service
from databases import OWNER, SERVICE, TestDatabase
from embedded_child import end_servers_below
from faults import killer
from faults.clients import Account
from faults.journal import Journal
from faults.killer import HeldPort, Victim
from psycopg.rows import DictRow, dict_row
from sandbox.process import Running as Sandbox
from sandbox.process import running as running_sandbox

from tallybook.postgres import migrating
from tallybook.postgres.embedded import EmbeddedPostgres
from tallybook.postgres.provisioning import admit, provision

# Deliveries are tried again soon and for as long as the run lasts: Stripe goes on for three days.
SANDBOX = ("--retry-first", "0.05", "--retry-longest", "0.5", "--retry-attempts", "500")


@dataclass(slots=True)
class Bank:
    """Everything that runs."""

    postgres: EmbeddedPostgres
    database: TestDatabase
    sandbox: Sandbox
    port: HeldPort
    serve: running_service.Service
    worker: running_service.Service
    app_id: str
    api_key: str
    accounts: list[Account]

    def rows(self, question: str) -> list[dict[str, Any]]:
        """Ask the database as superuser."""
        return rows(self.database.superuser_url, question)

    def let_time_pass(self) -> None:
        """Make leases of workers that are dead run out now, and waiting events due. Kill the worker before."""
        with psycopg.connect(self.database.superuser_url, autocommit=True) as connection:
            connection.execute(
                "UPDATE tallybook.stripe_events SET next_attempt_at = now(), leased_until = now()"
                " WHERE status IN ('processing', 'retry')"
            )
            connection.execute("UPDATE tallybook.customer_fences SET leased_until = now()")

    def serves(self) -> bool:
        """Whether the service says that it can do its work."""
        try:
            return httpx.get(f"{self.serve.base_url}/health", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def revive_postgres(self) -> None:
        """Start PostgreSQL again; the service and the worker must come back to it by themselves."""
        processes = (self.serve.process, self.worker.process)
        killer.revive_postgres(self.postgres)
        killer.await_true(self.serves, "the service did not find PostgreSQL again")
        assert all(process is not None and process.poll() is None for process in processes), (
            "one died with it"
        )

    def revive_service(self) -> None:
        """Start the service, and wait until it can do its work."""
        killer.revive(self.serve, self.serves)

    def revive_worker(self) -> None:
        """Start the worker, and wait until it says so."""
        before = _starts(self.worker.log)
        killer.revive(self.worker, lambda: _starts(self.worker.log) > before)

    def kill_worker(self) -> None:
        """SIGKILL."""
        self.worker.kill()

    def busy(self) -> int:
        """How many events are leased; 0 while the database is away."""
        try:
            found = self.rows(
                "SELECT count(*) AS busy FROM tallybook.stripe_events WHERE status = 'processing'"
            )
        except psycopg.OperationalError:
            return 0
        return int(found[0]["busy"])

    def victims(self, journal: Journal) -> list[Victim]:
        """What the killer may kill. A worker is best killed while it has events."""
        orphans = _Orphans(self)
        return [
            Victim(
                "postgres", lambda: self.postgres.pid,
                lambda: killer.kill_postgres(self.postgres), self.revive_postgres,
                lambda: journal.counts["lost"], lambda: True,
            ),
            Victim(
                "service", lambda: killer.pid_of(self.serve.process),
                lambda: killer.kill_service(self.serve, self.port), self.revive_service,
                lambda: journal.counts["lost"], lambda: True,
            ),
            Victim(
                "worker", lambda: killer.pid_of(self.worker.process),
                orphans.kill, self.revive_worker,
                lambda: orphans.count, lambda: self.busy() > 0,
            ),
        ]  # fmt: skip


class _Orphans:
    """Counts the events that killed workers left behind half done."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._known: set[str] = set()

    @property
    def count(self) -> int:
        return len(self._known)

    def kill(self) -> None:
        self._bank.kill_worker()
        try:
            left = self._bank.rows(
                "SELECT lease_id::text FROM tallybook.stripe_events WHERE status = 'processing'"
            )
        except psycopg.OperationalError:
            return  # PostgreSQL is away as well; what was left behind shows at the end.
        self._known |= {row["lease_id"] for row in left}


def rows(url: str, question: str) -> list[dict[str, Any]]:
    """The answer to a question, as dictionaries."""
    with psycopg.Connection[DictRow].connect(url, row_factory=dict_row, connect_timeout=5) as connection:
        return connection.execute(question.encode()).fetchall()


def _starts(log: Path) -> int:
    return log.read_text().count("Worker started") if log.exists() else 0


@contextmanager
def open_bank(place: Path, *, accounts: int) -> Iterator[Bank]:
    """A bank with so many customers; whatever was started is ended afterwards, also after a failure."""
    with ExitStack() as ends:
        ends.callback(end_servers_below, place)
        postgres = ends.enter_context(EmbeddedPostgres(place / "postgres"))
        superuser_url = postgres.superuser_url()
        provision(superuser_url, database="bank", owner=OWNER, service=SERVICE)
        database = TestDatabase("bank", postgres.superuser_url("bank"))
        migrating.migrate(database.owner_url)
        admit(database.owner_url, SERVICE.role)
        sandbox = ends.enter_context(running_sandbox(place / "sandbox.sqlite", options=SANDBOX))
        port = HeldPort()
        ends.callback(port.close)
        _, secret = running_service.webhook_endpoint(sandbox, f"http://127.0.0.1:{port.number}")
        env = running_service.environment(database, sandbox.base_url, port.number, secret)
        prepared = asyncio.run(running_service.prepare(database, env))
        bank = Bank(
            postgres=postgres,
            database=database,
            sandbox=sandbox,
            port=port,
            serve=_program(env, place / "service.log", "serve", "--no-worker", port=port.number),
            worker=_program(env, place / "worker.log", "worker", port=port.number),
            app_id=prepared["app_id"],
            api_key=prepared["api_key"],
            accounts=[],
        )
        ends.callback(_end, bank.serve)
        ends.callback(_end, bank.worker)
        bank.revive_service()
        bank.revive_worker()
        bank.accounts = open_accounts(bank, accounts)
        yield bank


def _program(env: dict[str, str], log: Path, *arguments: str, port: int) -> running_service.Service:
    return running_service.Service(env=env, port=port, log=log, arguments=arguments)


def _end(program: running_service.Service) -> None:
    if program.process is not None and program.process.poll() is None:
        program.kill()


def open_accounts(bank: Bank, count: int) -> list[Account]:
    """Customers, straight into the database (signing up is tested elsewhere), and their wallets over HTTP."""
    with psycopg.connect(bank.database.superuser_url, autocommit=True) as connection:
        found = connection.execute(
            "INSERT INTO tallybook.users"
            " (email, email_key, password_hash, sessions_valid_from, created_at, updated_at)"
            " SELECT name, name, '-', now(), now(), now()"
            " FROM (SELECT gen_random_uuid() || '@example.com' AS name FROM generate_series(1, %s)) AS made"
            " RETURNING user_id",
            [count],
        ).fetchall()
    opened = []
    with httpx.Client(base_url=bank.serve.base_url, headers={"X-API-Key": bank.api_key}) as http:
        for [user_id] in found:
            [wallet] = http.get("/v1/wallets", params={"user_id": user_id}).json()["data"]
            opened.append(Account(user_id, int(wallet["id"].removeprefix("wal_"))))
    return opened

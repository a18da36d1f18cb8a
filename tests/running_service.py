"""A running Tallybook for tests: the service as a real process over a test's database, beside a real sandbox.

What it is asked is the tests' business; here it is only started, killed, started again and given customers.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from databases import SECRET, TestDatabase
from sandbox.process import KEY
from sandbox.process import Running as Sandbox

from tallybook import app
from tallybook.cli.roof import OPERATOR
from tallybook.domain.identity.callers import Permission
from tallybook.domain.identity.people import Role
from tallybook.settings import Settings
from tallybook.usecases import apps, catalog, users

READY_SECONDS = 60.0
EMAIL = "user@example.com"
PASSWORD = "password123"
ADMIN_EMAIL = "admin@example.com"
ADMIN_PASSWORD = "an admin of the tests"


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Service:
    """The service's process; ``kill`` is SIGKILL."""

    env: dict[str, str]
    port: int
    log: Path
    arguments: tuple[str, ...] = ("serve",)
    process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, *, await_ready: bool = True) -> None:
        """Start it, and by default wait until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tallybook", *self.arguments],
                env=self.env,
                stdout=log,
                stderr=log,
                cwd=self.log.parent,
            )
        if await_ready:
            self.await_ready()

    def await_ready(self) -> None:
        """Wait until it can do its work."""
        assert self.process is not None
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if httpx.get(f"{self.base_url}/health", timeout=2).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"the service did not start:\n{self.log.read_text()[-3000:]}")

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """SIGTERM, and wait."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)


@dataclass(slots=True)
class Running:
    """A service with a catalogue at the sandbox, a customer, an admin and an app that may do everything."""

    service: Service
    sandbox: Sandbox
    database: TestDatabase
    app_id: str
    api_key: str
    app_database_url: str
    user_id: int
    _clients: list[httpx.Client] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        """Where the service listens."""
        return self.service.base_url

    def http(self, **headers: str) -> httpx.Client:
        """A client of the service; closed with it."""
        client = httpx.Client(base_url=self.base_url, headers=headers, timeout=30)
        self._clients.append(client)
        return client

    def as_app(self) -> httpx.Client:
        """A client that calls with the app's key."""
        return self.http(**{"X-API-Key": self.api_key})

    def sign_in(self, email: str = EMAIL, password: str = PASSWORD, **more: Any) -> dict[str, Any]:
        """A session: for the app unless another is named."""
        body = {"app_id": self.app_id, "email": email, "password": password} | more
        answer = self.http().post("/api/cross-app/auth", json=body)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert isinstance(found, dict)
        return found

    def admin_token(self) -> str:
        """A session of the house's admin."""
        answer = self.http().post(
            "/v1/sessions",
            json={"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD},
            headers={"Idempotency-Key": os.urandom(8).hex()},
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["session_token"])

    def grant(self, email: str, credits: int) -> None:
        """Give a customer credits."""
        assert email == EMAIL
        answer = self.as_app().post(
            "/v1/transfers",
            json={"user_id": self.user_id, "type": "grant", "amount_micro": credits * 1_000_000},
            headers={"Idempotency-Key": os.urandom(8).hex()},
        )
        assert answer.status_code == 201, answer.text

    def balance(self) -> int:
        """What the customer can spend, in micro-credits."""
        answer = self.as_app().get("/v1/wallets", params={"user_id": self.user_id})
        return int(answer.json()["data"][0]["available_micro"])

    def close(self) -> None:
        """Close the clients."""
        for client in self._clients:
            client.close()


def run_cli(env: dict[str, str], *arguments: str) -> Any:
    """Run a command of the command line and give back its JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "tallybook", *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


def environment(database: TestDatabase, sandbox_url: str, port: int, webhook_secret: str) -> dict[str, str]:
    """Settings of a service over a test's database."""
    own = {
        "DATABASE_URL": database.service_url,
        "MIGRATION_DATABASE_URL": database.owner_url,
        "TALLYBOOK_SECRET_KEY": SECRET,
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "BASE_URL": f"http://127.0.0.1:{port}",
        "STRIPE_SECRET_KEY": KEY,
        "STRIPE_WEBHOOK_SECRET": webhook_secret,
        "STRIPE_API_BASE": sandbox_url,
        "LOG_LEVEL": "warning",
    }
    # PYTHONPATH is set where a copy of the sources is tried (tests/pitfalls).
    inherited = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "PYTHONPATH")
    kept = {name: os.environ[name] for name in inherited if name in os.environ}
    return kept | own


def webhook_endpoint(sandbox: Sandbox, base_url: str) -> tuple[str, str]:
    """Register the service's webhook at the sandbox; gives back its id and the signing secret."""
    secret = "whsec_" + os.urandom(16).hex()
    # Through the control desk: the API allows 16 endpoints, as Stripe does, and a session has more tests.
    made = httpx.post(
        f"{sandbox.base_url}/_sandbox/webhook_endpoints",
        json={"url": f"{base_url}/api/stripe/webhook", "enabled_events": ["*"], "secret": secret},
    )
    assert made.status_code == 200, made.text
    return str(made.json()["id"]), secret


@contextmanager
def running_service(database: TestDatabase, sandbox: Sandbox, place: Path) -> Iterator[Running]:
    """Start a service, with everything that a customer and an app need."""
    port = free_port()
    endpoint, secret = webhook_endpoint(sandbox, f"http://127.0.0.1:{port}")
    env = environment(database, sandbox.base_url, port, secret)
    # In a thread of its own: a browser test has an event loop in this one.
    with ThreadPoolExecutor(1) as thread:
        prepared = thread.submit(lambda: asyncio.run(prepare(database, env))).result()
    service = Service(env=env, port=port, log=place / "service.log")
    found = Running(service=service, sandbox=sandbox, database=database, **prepared)
    try:
        service.start()
        yield found
    finally:
        found.close()
        service.stop()
        httpx.delete(f"{sandbox.base_url}/v1/webhook_endpoints/{endpoint}", auth=(KEY, ""))


async def prepare(database: TestDatabase, env: dict[str, str]) -> dict[str, Any]:
    """A catalogue at the sandbox, a customer, an admin, and an app with every permission and a database login."""
    settings = Settings(_env_file=None, **{name.lower(): value for name, value in env.items()})  # type: ignore[call-arg, arg-type]
    async with app.open_context(settings, database.installation()) as ctx:
        await catalog.push(ctx, OPERATOR, dry_run=False, progress=lambda _: None)
        user = await users.create_user(ctx, EMAIL, PASSWORD, allow_common=True)
        await users.create_user(ctx, ADMIN_EMAIL, ADMIN_PASSWORD, Role.ADMIN)
        registered = await apps.register(
            ctx, OPERATOR, name="Whatnot Autoprint", permissions=tuple(Permission)
        )
        login = await apps.create_database_login(ctx, OPERATOR, registered.app.public_id)
    return {
        "app_id": registered.app.public_id,
        "api_key": registered.issued.secret,
        "app_database_url": login.url,
        "user_id": user.user_id,
    }

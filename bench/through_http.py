"""Requests per second through HTTP: a server process, a load process, and kinds of request in turn."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from bench.ground import Ground
from bench.http_load import Order, Seen
from bench.http_server import FRAMEWORKS_NO_OP, NO_OP
from bench.plan import Plan
from bench.slices import Figures, Slice, figures
from bench.ways import ours
from tallybook import app
from tallybook.domain.identity.callers import Caller
from tallybook.postgres.pool import Database
from tallybook.settings import load as load_settings
from tallybook.usecases import apps

CONNECTIONS = 64
_START_SECONDS = 60
_STOP_SECONDS = 20
_SPEND = '{"user_id": {target}, "type": "spend", "amount_micro": 1000000}'


@dataclass(frozen=True, slots=True)
class HttpRow:
    """The result of one kind of request."""

    request: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class Result:
    """The rows, the no-op first, and what went wrong."""

    rows: list[HttpRow]
    faults: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    name: str
    method: str
    path: str
    body: str | None
    targets: Sequence[int]

    def order(self, port: int, seconds: float, turn: int, api_key: str) -> Order:
        return Order(
            port=port,
            connections=CONNECTIONS,
            seconds=seconds,
            method=self.method,
            path=self.path,
            headers={
                "Authorization": f"Bearer {api_key}",
                "Idempotency-Key": "http-{serial}",
            },
            body=self.body,
            targets=list(self.targets),
            serial=f"{self.name}-{turn}",
        )


def measure(ground: Ground, plan: Plan) -> Result:
    """Run all slices against one server; every answer must be a success and every spend a transfer."""
    secret = secrets.token_hex(32)
    users, api_key = asyncio.run(_prepare(ground, plan, secret))
    kinds = _kinds(users)
    slices: dict[str, list[Slice]] = {kind.name: [] for kind in kinds}
    faults: list[str] = []
    turns = [(turn, kind) for turn in range(plan.rounds + 1) for kind in kinds]
    with _serving(ground, secret) as port:
        orders = [
            kind.order(port, plan.seconds if turn else plan.tuning_seconds, turn, api_key)
            for turn, kind in turns
        ]
        seen = _load(orders)
    for (_, kind), answers in zip(turns, seen, strict=True):
        taken, odd = _slice(answers)
        faults += [f"{kind.name}: {odd}"] if odd else []
        slices[kind.name].append(taken)
    faults += _lost(ground, slices, kinds)
    # The first turn only warms up.
    rows = [HttpRow(name, figures(taken[1:])) for name, taken in slices.items()]
    return Result(rows, faults)


def _kinds(users: Sequence[int]) -> list[_Kind]:
    many, hot = users[:-1], users[-1:]
    balance = "/v1/wallets?user_id={target}"
    post = "/v1/transfers"
    return [
        _Kind(name="no-op POST", method="POST", path=NO_OP, body=_SPEND, targets=many),
        _Kind(name="no-op of the framework", method="POST", path=FRAMEWORKS_NO_OP, body=_SPEND, targets=many),
        _Kind(name="balance", method="GET", path=balance, body=None, targets=many),
        _Kind(name="spend, uniform", method="POST", path=post, body=_SPEND, targets=many),
        _Kind(name="spend, one hot wallet", method="POST", path=post, body=_SPEND, targets=hot),
    ]


async def _prepare(ground: Ground, plan: Plan, secret: str) -> tuple[list[int], str]:
    """Users with funded wallets, and an app that may spend for them."""
    users = ours.open_users(ground.product_url, plan.http_wallets + 1)
    db = await Database.connect(ground.service_url)
    try:
        await ours.open_wallets(db, ground.product_url, users)
    finally:
        await db.close()
    settings = load_settings(
        _env_file=None, database_url=ground.service_url, secret_key=secret, stripe_secret_key=None
    )
    installation = app.Installation(
        service_url=ground.service_url, owner_url=ground.owner_url, secret=secret, embedded=None
    )
    async with app.open_context(settings, installation) as ctx:
        registered = await apps.register(ctx, Caller(is_admin=True), name="bench")
    return users, registered.issued.secret


@contextmanager
def _serving(ground: Ground, secret: str) -> Iterator[int]:
    """The server in a process of its own; gives its port."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("STRIPE_")},
        "DATABASE_URL": ground.service_url,
        "MIGRATION_DATABASE_URL": ground.owner_url,
        "TALLYBOOK_SECRET_KEY": secret,
    }
    log = ground.folder / "server.log"
    with (
        socket.create_server(("127.0.0.1", 0), backlog=1024) as listening,
        log.open("wb") as output,
    ):
        port = int(listening.getsockname()[1])
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.http_server", str(listening.fileno())],
            env=environment,
            pass_fds=[listening.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            _await_health(process, port, log)
            yield port
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_health(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health", timeout=5).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError(f"the server does not answer:\n{log.read_text()[-3000:]}")


def _load(orders: Sequence[Order]) -> list[Seen]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.http_load"],
        input=json.dumps([asdict(order) for order in orders]),
        capture_output=True,
        text=True,
        timeout=sum(order.seconds for order in orders) + 120,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the load generator failed:\n{done.stderr[-3000:]}")
    return [Seen(**seen) for seen in json.loads(done.stdout)]


def _slice(seen: Seen) -> tuple[Slice, str]:
    answers = len(seen.latencies_ns)
    good = sum(count for status, count in seen.statuses.items() if status.startswith("2"))
    taken = Slice(good, answers - good, seen.elapsed_ns, seen.latencies_ns)
    return taken, f"{seen.statuses} {seen.odd}" if good < answers else ""


def _lost(ground: Ground, slices: dict[str, list[Slice]], kinds: Sequence[_Kind]) -> list[str]:
    """Every spend that was answered with 201 must be a transfer, once."""
    accepted = sum(
        one.accepted for kind in kinds if kind.path == "/v1/transfers" for one in slices[kind.name]
    )
    return [f"HTTP: {fault}" for fault in ours.missing(ground.product_url, "http-", accepted)]

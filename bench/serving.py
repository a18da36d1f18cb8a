"""Server processes of a run: one uvicorn worker each, on a socket of ours, ended with the block."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from bench import event_load
from bench.ground import Ground
from bench.http_load import Order, Seen

_START_SECONDS = 60
_STOP_SECONDS = 40
_BACKLOG = 4096


@dataclass(frozen=True, slots=True)
class Served:
    """A server that answers."""

    port: int
    pid: int


@contextmanager
def the_service(
    ground: Ground, secret: str, *, waiting_max: int | None = None, stripe: Mapping[str, str] | None = None
) -> Iterator[Served]:
    """The service (``bench.http_server``) over the product's database.

    ``waiting_max`` is how many postings wait, ``stripe`` its settings for Stripe.
    """
    environment = _over(ground, secret, stripe)
    if waiting_max is not None:
        environment["BENCH_WAITING_MAX"] = str(waiting_max)
    with _serving("bench.http_server", ground.folder / "server.log", environment) as served:
        yield served


@contextmanager
def the_worker(ground: Ground, secret: str, stripe: Mapping[str, str]) -> Iterator[None]:
    """``tallybook worker`` over the same database, once it has started."""
    log = ground.folder / "worker.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "tallybook", "worker"],
            env=_inherited() | _over(ground, secret, stripe),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            _await(lambda: "Worker started" in log.read_text(), process, log)
            yield
        finally:
            _end(process)


@contextmanager
def stripes_stand_in(ground: Ground) -> Iterator[str]:
    """The Stripe sandbox; gives its address."""
    log = ground.folder / "stripe_sandbox.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "stripe_sandbox", "--port", "0", "--quiet"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            _await(lambda: "ready on " in log.read_text(), process, log)
            yield log.read_text().partition("ready on ")[2].split()[0]
        finally:
            _end(process)


@contextmanager
def simple_ways(ground: Ground, connections: Sequence[int]) -> Iterator[Served]:
    """The ways compared with (``bench.simple_server``) over their database."""
    environment = {
        "BENCH_DATABASE_URL": ground.compared_url,
        "BENCH_CONNECTIONS": json.dumps(list(connections)),
    }
    with _serving("bench.simple_server", ground.folder / "simple_server.log", environment) as served:
        yield served


@contextmanager
def simple_webhook(ground: Ground, signing_secret: str) -> Iterator[Served]:
    """A webhook as one would write it (``bench.simple_server``), over the database of the ways compared with."""
    environment = {"BENCH_DATABASE_URL": ground.compared_url, "BENCH_WEBHOOK_SECRET": signing_secret}
    with _serving("bench.simple_server", ground.folder / "simple_webhook.log", environment) as served:
        yield served


def _over(ground: Ground, secret: str, stripe: Mapping[str, str] | None) -> dict[str, str]:
    return {
        "DATABASE_URL": ground.service_url,
        "MIGRATION_DATABASE_URL": ground.owner_url,
        "TALLYBOOK_SECRET_KEY": secret,
        **(stripe or {}),
    }


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("STRIPE_")}


@contextmanager
def _serving(module: str, log: Path, environment: dict[str, str]) -> Iterator[Served]:
    with (
        socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG) as listening,
        log.open("wb") as output,
    ):
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(listening.fileno())],
            env=_inherited() | environment,
            pass_fds=[listening.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            served = Served(int(listening.getsockname()[1]), process.pid)
            _await(lambda: _answers(served.port), process, log)
            yield served
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=5).is_success
    except httpx.TransportError:
        return False


def _await(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if ready():
            return
        time.sleep(0.1)
    raise RuntimeError(f"it does not start:\n{log.read_text()[-3000:]}")


def load(orders: Sequence[Order]) -> list[Seen]:
    """Let a process of its own send the orders, one after another."""
    return _sent("bench.http_load", orders)


def deliver(orders: Sequence[event_load.Order]) -> list[Seen]:
    """Let a process of its own deliver events, one order after another."""
    return _sent("bench.event_load", orders)


def _sent(module: str, orders: Sequence[Order | event_load.Order]) -> list[Seen]:
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=json.dumps([asdict(order) for order in orders]),
        capture_output=True,
        text=True,
        timeout=sum(order.seconds for order in orders) + 120,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the load generator failed:\n{done.stderr[-3000:]}")
    return [Seen(**seen) for seen in json.loads(done.stdout)]

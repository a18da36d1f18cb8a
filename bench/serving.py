"""Server processes of a run: one uvicorn worker each, on a socket of ours, ended with the block."""

from __future__ import annotations

import json
import os
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

_START_SECONDS = 60
_STOP_SECONDS = 40
_BACKLOG = 4096


@dataclass(frozen=True, slots=True)
class Served:
    """A server that answers."""

    port: int
    pid: int


@contextmanager
def the_service(ground: Ground, secret: str, *, waiting_max: int | None = None) -> Iterator[Served]:
    """The service (``bench.http_server``) over the product's database; ``waiting_max`` is how many postings wait."""
    environment = {
        "DATABASE_URL": ground.service_url,
        "MIGRATION_DATABASE_URL": ground.owner_url,
        "TALLYBOOK_SECRET_KEY": secret,
    }
    if waiting_max is not None:
        environment["BENCH_WAITING_MAX"] = str(waiting_max)
    with _serving("bench.http_server", ground.folder / "server.log", environment) as served:
        yield served


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
def _serving(module: str, log: Path, environment: dict[str, str]) -> Iterator[Served]:
    given = {name: value for name, value in os.environ.items() if not name.startswith("STRIPE_")}
    with (
        socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG) as listening,
        log.open("wb") as output,
    ):
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(listening.fileno())],
            env=given | environment,
            pass_fds=[listening.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            served = Served(int(listening.getsockname()[1]), process.pid)
            _await_health(process, served.port, log)
            yield served
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


def load(orders: Sequence[Order]) -> list[Seen]:
    """Let a process of its own send the orders, one after another."""
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

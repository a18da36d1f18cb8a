"""A tiny real HTTP server that fails in chosen ways; it books each idempotency key once, like the service.

It listens on a loopback port of its own and stops with the ``with`` block. The test chooses the
answers, one step for each request; the last step stays.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How one request is treated: answered, answered late, or acted upon and then cut off."""

    status: int = 201
    body: Mapping[str, Any] | str = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_off: bool = False
    delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    at: float

    @property
    def key(self) -> str | None:
        """Its idempotency key."""
        return self.headers.get("idempotency-key")


@dataclass(slots=True)
class ScriptedService:
    """The running server: its address, what it received, and what it booked under which key."""

    base_url: str
    steps: list[Step]
    received: list[Received] = field(default_factory=list)
    booked: dict[str, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, received: Received) -> Step:
        """Note the request, book its key once, and say how to answer."""
        with self.lock:
            self.received.append(received)
            step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
            if received.key and (step.cut_off or step.status < 400):
                self.booked.setdefault(received.key, received.body)
            return step


class _Handler(BaseHTTPRequestHandler):
    service: ClassVar[ScriptedService]
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        step = self.service.take(
            Received(
                method=self.command,
                path=self.path,
                headers={name.lower(): value for name, value in self.headers.items()},
                body=json.loads(raw) if raw else None,
                at=time.monotonic(),
            )
        )
        time.sleep(step.delay_seconds)
        if step.cut_off:
            self.close_connection = True
            return
        text = step.body if isinstance(step.body, str) else json.dumps(step.body)
        payload = b"" if step.status == 204 else text.encode()
        self.send_response(step.status)
        for name, value in step.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - names that http.server asks for

    def log_message(self, *_: Any) -> None:
        """Keep the tests' output clean."""


@contextmanager
def scripted(*steps: Step) -> Iterator[ScriptedService]:
    """A server that takes the steps one after another."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    service = ScriptedService(f"http://127.0.0.1:{server.server_port}", list(steps))
    handler.service = service  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


BALANCES = {"available_micro": 95_000_000, "held_micro": 0, "debt_micro": 0, "version": 2}
MOMENT = "2026-11-21T12:00:00Z"
POSTED = {
    "id": "trf_12_2",
    "wallet": "wal_12",
    "kind": "spend",
    "amount_micro": 5_000_000,
    "wallet_after": BALANCES,
    "created_at": MOMENT,
}
PLACED = {
    "id": "hld_12_3",
    "transfer": "trf_12_3",
    "wallet": "wal_12",
    "amount_micro": 20_000_000,
    "wallet_after": BALANCES,
    "created_at": MOMENT,
}
SETTLED = {
    "transfer": "trf_12_4",
    "hold": "hld_12_3",
    "wallet": "wal_12",
    "captured_micro": 12_500_000,
    "released_micro": 7_500_000,
    "wallet_after": BALANCES,
    "created_at": MOMENT,
}


def problem(status: int, code: str, **facts: Any) -> Step:
    """A refusal as the service draws it."""
    return Step(
        status=status,
        body={"type": f"urn:tallybook:problem:{code}", "detail": "Why.", "code": code, **facts},
        headers={"Content-Type": "application/problem+json"},
    )

"""Starts the sandbox as a process of its own, as a developer would, and ends it.

Leaves what is asked of it to the tests.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import stripe

KEY = "sk_test_sandbox_tests"
_READY = "ready on "


@dataclass
class Running:
    """A sandbox that answers."""

    process: subprocess.Popen[str]
    base_url: str
    _open: list[stripe.RequestsClient | httpx.Client] = field(default_factory=list)

    def client(self, key: str = KEY) -> stripe.StripeClient:
        """Return the official SDK pointed here; no retries, so that tests see each answer."""
        transport = stripe.RequestsClient(timeout=30)
        self._open.append(transport)
        return stripe.StripeClient(
            key,
            base_addresses={"api": self.base_url},
            max_network_retries=0,
            http_client=transport,
        )

    def http(self, key: str = KEY) -> httpx.Client:
        """Return a plain HTTP client with the key set."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        client = httpx.Client(base_url=self.base_url, headers=headers, trust_env=False, timeout=30)
        self._open.append(client)
        return client

    def control(self, path: str, **body: object) -> dict[str, object]:
        """Give a command at the control desk; raises on refusal."""
        answer = httpx.post(f"{self.base_url}/_sandbox/{path}", json=body, trust_env=False, timeout=30)
        answer.raise_for_status()
        result = answer.json()
        assert isinstance(result, dict)
        return result

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._close()
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        """Ask it to end."""
        self._close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()

    def _close(self) -> None:
        for client in self._open:
            client.close()
        self._open.clear()


def start(store: Path | None = None, *, port: int = 0, options: tuple[str, ...] = ()) -> Running:
    """Start a sandbox on a free port and wait until it answers."""
    command = [sys.executable, "-m", "stripe_sandbox", "--port", str(port), "--quiet", *options]
    if store is not None:
        command += ["--store", str(store)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    process.stdout.close()
    if _READY not in line:
        process.kill()
        process.wait(10)
        message = f"the sandbox did not start: {line!r}"
        raise RuntimeError(message)
    return Running(process, line.strip().rpartition(" ")[2])


@contextmanager
def running(store: Path | None = None, *, options: tuple[str, ...] = ()) -> Iterator[Running]:
    """Run a sandbox for the length of a block."""
    sandbox = start(store, options=options)
    try:
        yield sandbox
    finally:
        sandbox.stop()

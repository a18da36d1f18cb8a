"""The demo's child processes: started, waited for until they answer, and ended with the demo."""

from __future__ import annotations

import ctypes
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from tallybook.domain.errors import SettingsError

READY_SECONDS = 60
STOP_SECONDS = 20
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    # Linux: a demo that is killed outright must not leave servers behind that hold its ports.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def child(
    arguments: list[str], *, log: Path, ready_url: str, env: Mapping[str, str], cwd: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``python -m …`` until the block ends; enters the block once ``ready_url`` answers 200."""
    with log.open("ab") as file:
        process = subprocess.Popen(  # noqa: S603 - our own programs
            [sys.executable, "-m", *arguments],
            stdout=file,
            stderr=file,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - no threads run in the demo yet
        )
    try:
        _await_ready(process, ready_url, log)
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
    raise SettingsError(f"{log.stem} did not start; its log {log} ends:\n{tail}")


def free_port(wanted: int, name: str) -> int:
    """The wanted port if nobody listens there.

    Raises:
        SettingsError: somebody does; says which variable moves it.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            raise SettingsError(
                f"Port {wanted} is in use. Stop what runs there, or move: make demo {name}={wanted + 10}"
            ) from None
    return wanted

"""An app that is killed (SIGKILL) in the middle of a stream: its hold settles by its policy, and once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from running_service import EMAIL, Running, Service, free_port
from sdk.streaming_child import PART, USED

from credit_sdk import Client
from credit_sdk.errors import HoldSettledError

PROGRAM = Path(__file__).with_name("streaming_child.py")
MICRO = 1_000_000
HELD = 20
CHARGED = USED // PART * PART
# Each beat keeps a hold alive for as long again: it lives as long as its process does, and little longer.
BEATING = 8
# What is charged in the end, by policy; metered work is estimated at what is held.
FATES: dict[str, tuple[dict[str, Any], int]] = {
    "released": ({"on_expiry": "release"}, CHARGED),
    "estimated": ({"on_expiry": "capture_estimate"}, HELD),
    "whole": ({"on_expiry": "capture_maximum"}, HELD),
    "estimated below": ({"on_expiry": "capture_estimate", "estimate": 12, "lifetime_seconds": 15}, 12),
}


@pytest.fixture
def second_worker(running: Running, tmp_path: Path) -> Iterator[Service]:
    """Another worker beside the service's own, so that two settle at the same time."""
    worker = Service(running.service.env, free_port(), tmp_path / "worker.log", arguments=("worker",))
    worker.start(await_ready=False)
    yield worker
    worker.stop()


def _until(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.1)


class Child:
    """A process with the SDK that streams over a hold."""

    def __init__(self, running: Running, key: str, terms: dict[str, Any]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM)],
            env={**os.environ, "API_KEY": running.api_key},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        given = {"user": running.user_id, "held": HELD, "idempotency_key": key, "lifetime_seconds": BEATING}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"base_url": running.base_url, **given, **terms}) + "\n")
        self.process.stdin.flush()

    def hold(self) -> str:
        """The hold that it has placed."""
        assert self.process.stdout is not None
        word, hold = self.process.stdout.readline().split()
        assert word == "held"
        return hold

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.communicate()
        assert self.process.returncode == -9


@pytest.mark.timeout(600)
def test_a_hold_whose_process_was_killed_settles_once_by_its_policy(
    running: Running, second_worker: Service
) -> None:
    running.grant(EMAIL, 200)
    children = {key: Child(running, key, terms) for key, (terms, _) in FATES.items()}
    with Client(running.base_url, api_key=running.api_key) as client:
        holds = {key: child.hold() for key, child in children.items()}
        for hold in holds.values():
            _until(lambda hold=hold: client.holds.get(hold).captured_micro >= CHARGED * MICRO)  # type: ignore[misc]
        for child in children.values():
            child.kill()
        for hold in holds.values():
            _until(lambda hold=hold: client.holds.get(hold).status == "settled")  # type: ignore[misc]

        settled = {key: client.holds.get(hold) for key, hold in holds.items()}
        left = running.as_app().get("/v1/holds", params={"user_id": running.user_id, "status": "left_behind"})
        for key, hold in holds.items():
            # The job is sent again, as a queue would: its hold is the one that has settled.
            terms, _ = FATES[key]
            again = client.holds.place(
                running.user_id,
                HELD,
                lifetime_seconds=terms.get("lifetime_seconds", BEATING),
                on_expiry=terms["on_expiry"],
                estimate=terms.get("estimate", HELD if terms["on_expiry"] == "capture_estimate" else None),
                idempotency_key=key,
            )
            assert (again.id, again.replayed) == (hold, True)
            with pytest.raises(HoldSettledError):
                client.holds.capture(hold, 1)

    charged = {key: amount * MICRO for key, (_, amount) in FATES.items()}
    assert {key: hold.captured_micro for key, hold in settled.items()} == charged
    assert {key: hold.released_micro for key, hold in settled.items()} == {
        key: HELD * MICRO - amount for key, amount in charged.items()
    }
    assert {line["id"] for line in left.json()["data"]} == set(holds.values())
    assert running.balance() == 200 * MICRO - sum(charged.values())
    assert second_worker.process is not None
    assert second_worker.process.poll() is None

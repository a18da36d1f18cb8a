"""Processes that spend are killed (SIGKILL) at every kind of moment: no yes is lost, none is charged twice."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_service import EMAIL, Running
from sdk.gate import Gate, gate_before

from credit_sdk import Client, FailOpen

PROGRAM = Path(__file__).with_name("spending_child.py")
POINTS = 16
JOBS = 60


@pytest.fixture
def gate(running: Running) -> Iterator[Gate]:
    """A gate before the service."""
    running.grant(EMAIL, 1000)
    with gate_before(running.base_url) as found:
        yield found


def child(running: Running, gate: Gate, outbox: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), gate.base_url, str(running.user_id), str(outbox), *more],
        env={**os.environ, "API_KEY": running.api_key},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def followed(process: subprocess.Popen[str], gate: Gate) -> list[list[str]]:
    """All that a child says until its end, shutting and opening the gate when it asks for that."""
    assert process.stdout is not None
    assert process.stdin is not None
    said = []
    for line in process.stdout:
        said.append(line.split())
        if said[-1] == ["shut?"]:
            gate.shut()
        if said[-1] == ["open?"]:
            gate.open()
        if said[-1][0].endswith("?"):
            process.stdin.write("\n")
            process.stdin.flush()
    process.stdout.close()
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    process.wait()
    return said


def settle(running: Running, gate: Gate, outbox: Path) -> None:
    """Settle all that is left, as the next process does."""
    terms = FailOpen(lease=10, outbox=outbox, patience_seconds=2, background=False)
    with Client(gate.base_url, api_key=running.api_key, when_away=terms) as client:
        deadline = time.monotonic() + 60
        # What a killed process had claimed is left to it for a while.
        while client.outbox.settle().pending and time.monotonic() < deadline:
            time.sleep(0.1)
        assert client.outbox.pending() == ()
        assert client.outbox.uncollected() == ()


def charges(running: Running) -> Counter[str]:
    """How often each job was charged."""
    found: Counter[str] = Counter()
    with Client(running.base_url, api_key=running.api_key) as direct:
        [wallet] = direct.wallets.list(running.user_id).data
        after = None
        while True:
            page = direct.wallets.transfers(wallet.id, limit=100, after=after)
            found.update(str(line.description) for line in page.data if line.credit == "usage")
            if not page.has_more:
                return found
            after = page.next_cursor


def answered(said: list[list[str]], word: str) -> set[str]:
    return {words[1] for words in said if words[0] == word}


def test_a_process_killed_at_any_line_loses_no_yes_and_doubles_none(
    running: Running, gate: Gate, tmp_path: Path
) -> None:
    whole = followed(child(running, gate, tmp_path / "whole.sqlite", "--name", "whole"), gate)
    total = int(whole[-1][1])
    promised = answered(whole, "yes")
    assert len(promised) == 4
    asked = set(promised)
    died = 0

    for point in range(1, total, max(1, total // POINTS)):
        name, outbox = f"point{point}", tmp_path / f"{point}.sqlite"
        process = child(running, gate, outbox, "--name", name, "--kill-at", str(point))
        said = followed(process, gate)
        died += process.returncode == -9
        if said and ["open?"] not in said and ["shut?"] in said:
            gate.open()
        promised |= answered(said, "yes")
        asked |= {f"{name}-{job}" for job in ("online", 0, 1, 2)}
        settle(running, gate, outbox)

    charged = charges(running)
    assert died >= POINTS - 4
    assert promised <= set(charged) <= asked
    assert set(charged.values()) == {1}


def test_two_processes_on_one_outbox_survive_kills_of_everybody(
    running: Running, gate: Gate, tmp_path: Path
) -> None:
    outbox, promised = tmp_path / "outbox.sqlite", set[str]()
    luck = random.Random(7)  # noqa: S311 - the same luck each time
    done = threading.Event()
    children: list[subprocess.Popen[str]] = []

    def work(name: str) -> None:
        at = 0
        while at < JOBS:
            process = child(running, gate, outbox, "--name", name, "--jobs", str(at), str(JOBS))
            children.append(process)
            said = followed(process, gate)
            promised.update(answered(said, "yes"))
            # What was not answered is asked again, as a queue of jobs would.
            at += len([words for words in said if words[0] in {"yes", "no"}])

    workers = [threading.Thread(target=work, args=(name,)) for name in ("left", "right")]
    for worker in workers:
        worker.start()
    kills = 0

    def watch() -> None:
        for worker in workers:
            worker.join()
        done.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    while not done.wait(luck.uniform(0.2, 0.6)):
        gate.shut()
        if kills % 4 == 1:
            running.service.kill()
            running.service.start(await_ready=False)
        running_now = [process for process in children if process.poll() is None]
        if running_now:
            luck.choice(running_now).kill()
            kills += 1
        done.wait(luck.uniform(0.2, 0.6))
        gate.open()
        # Let them get somewhere.
        done.wait(2)
    watcher.join()
    running.service.await_ready()
    settle(running, gate, outbox)

    charged = charges(running)
    assert kills > 2
    assert promised <= set(charged), "a yes was lost"
    assert set(charged.values()) == {1}
    assert len(promised) > JOBS // 2

"""The outbox file: whose it is, who shares it, and what happens when it cannot be used."""

from __future__ import annotations

import multiprocessing
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sdk.leases import AWAY, HELD, SPENT, leased, terms
from sdk.scripted_service import POSTED, SETTLED, Step, scripted

from credit_sdk import Client
from credit_sdk.errors import LeaseExhaustedError, OutboxUnavailableError, SettingsError


def test_an_outbox_belongs_to_one_service(tmp_path: Path) -> None:
    with scripted(SPENT, HELD, AWAY) as service, leased(service, tmp_path) as client:
        client.transfers.spend(7, 1)
        with (
            Client("http://127.0.0.1:9", when_away=terms(tmp_path)) as other,
            pytest.raises(SettingsError, match="belongs to"),
        ):
            other.transfers.spend(7, 1)


def test_a_file_that_is_none_of_ours_is_refused_and_nothing_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "outbox.sqlite").write_text("not a database, but long enough to be looked at as one" * 20)

    with Client("http://127.0.0.1:9", when_away=terms(tmp_path)) as client:
        with pytest.raises(OutboxUnavailableError):
            client.transfers.spend(7, 1)
        with pytest.raises(OutboxUnavailableError):
            client.outbox.pending()


def test_a_yes_is_not_given_when_it_cannot_be_written(tmp_path: Path) -> None:
    with scripted(SPENT, HELD, AWAY) as service, leased(service, tmp_path) as client:
        client.transfers.spend(7, 1, idempotency_key="before")
        full = client._sender.books.store._mine()[1]  # type: ignore[attr-defined]
        full.execute("PRAGMA max_page_count = 1")
        with pytest.raises(OutboxUnavailableError, match="full"):
            client.transfers.spend(7, 1, description="x" * 100_000)
        full.execute("PRAGMA max_page_count = 100000")

        assert [line.key for line in client.outbox.pending()] == ["before"]


def test_what_was_accepted_is_on_disk_before_the_answer(tmp_path: Path) -> None:
    with scripted(SPENT, HELD, AWAY) as service, leased(service, tmp_path) as client:
        client.transfers.spend(7, 1, idempotency_key="away")
        connection = client._sender.books.store._mine()[1]  # type: ignore[attr-defined]
        [synchronous] = connection.execute("PRAGMA synchronous").fetchone()
        [journal] = connection.execute("PRAGMA journal_mode").fetchone()
        other = sqlite3.connect(tmp_path / "outbox.sqlite")
        seen = other.execute("SELECT key, state FROM spends WHERE key = 'away'").fetchall()
        other.close()

    assert (synchronous, journal) == (2, "wal")
    assert seen == [("away", "pending")]


def test_threads_draw_from_one_lease_and_not_beyond(tmp_path: Path) -> None:
    def spend(number: int) -> bool:
        try:
            return client.transfers.spend(7, 1, idempotency_key=f"job-{number}").pending
        except LeaseExhaustedError:
            return False

    with scripted(SPENT, HELD, AWAY) as service, leased(service, tmp_path) as client:
        client.transfers.spend(7, 1, idempotency_key="job-0")
        with ThreadPoolExecutor(8) as pool:
            accepted = list(pool.map(spend, range(1, 40)))

        assert accepted.count(True) == 19
        assert len(client.outbox.pending()) == 20


def test_one_key_from_many_threads_is_one_line(tmp_path: Path) -> None:
    with (
        scripted(SPENT, HELD, AWAY) as service,
        leased(service, tmp_path) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        answers = list(pool.map(lambda _: client.transfers.spend(7, 3, idempotency_key="job"), range(30)))

        assert len({answer.id for answer in answers}) == len(client.outbox.pending()) == 1
        assert [answer.replayed for answer in answers].count(False) == 1


OPEN_AT_ONCE = """
import sys
from credit_sdk.outbox.store import Store
store = Store(sys.argv[1], "http://x")
print("ready", flush=True)
sys.stdin.readline()
with store.writing() as db:
    print(db.execute("SELECT count(*) FROM about").fetchone()[0])
"""


def test_processes_may_make_the_file_at_the_same_time(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPEN_AT_ONCE, str(tmp_path / "new.sqlite")]
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()

    assert [child.communicate(timeout=60)[0] for child in children] == ["2\n"] * 4


def _spend_in_child(client: Client, results: Any) -> None:
    results.put(client.transfers.spend(7, 2, idempotency_key="child").pending)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_uses_the_outbox_too(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    results = fork.SimpleQueue()
    with scripted(SPENT, HELD, AWAY) as service, leased(service, tmp_path, background=True) as client:
        client.transfers.spend(7, 1, idempotency_key="parent")
        child = fork.Process(target=_spend_in_child, args=(client, results))
        child.start()
        child.join(30)

        assert (child.exitcode, results.get()) == (0, True)
        assert [line.key for line in client.outbox.pending()] == ["parent", "child"]


def test_a_line_that_somebody_settles_is_left_to_them_for_a_while(tmp_path: Path) -> None:
    with scripted(SPENT, HELD, AWAY) as service, leased(service, tmp_path, patience_seconds=0.5) as client:
        client.transfers.spend(7, 1, idempotency_key="away")
        with Client(service.base_url, when_away=terms(tmp_path, patience_seconds=0.5)) as dead:
            dead._sender.books.spends.claim_next(0)  # type: ignore[attr-defined]
        service.steps[:] = [SPENT]
        at_once = client.outbox.settle()
        time.sleep(3.1)
        later = client.outbox.settle()

    assert (at_once.collected, at_once.pending) == (0, 1)
    assert (later.collected, later.pending) == (1, 0)


def test_the_background_starts_with_the_first_spend_and_ends_with_the_client(tmp_path: Path) -> None:
    with scripted(SPENT, HELD, AWAY) as service:
        client = leased(service, tmp_path, background=True, pause_seconds=0.1)
        client.transfers.spend(7, 1, idempotency_key="away")
        service.steps[:] = [Step(body={**POSTED, **SETTLED})]
        deadline = time.monotonic() + 10
        while client.outbox.pending() and time.monotonic() < deadline:
            time.sleep(0.05)
        [line] = client.outbox.find("away")
        client.close()
        after = len(service.received)
        time.sleep(0.5)

    assert line.state == "collected"
    assert len(service.received) == after

"""The server that the tests share: one for a session, removed by its last user, swept if that was killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from postgres_server import running_server

from tallybook.postgres.embedded import EmbeddedPostgres

_TESTS = Path(__file__).parents[1]


def worker(place: Path, session: str) -> subprocess.Popen[str]:
    """Start a process that uses the session's server until its input ends."""
    script = "import sys, postgres_server as p\n"
    script += "with p.running_server() as url: print(url, flush=True); sys.stdin.read()"
    kept = {key: text for key, text in os.environ.items() if not key.startswith("TALLYBOOK_")}
    return subprocess.Popen(
        [sys.executable, "-c", script],
        env={**kept, "PYTHONPATH": str(_TESTS), "TMPDIR": str(place), "PYTEST_XDIST_TESTRUNUID": session},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def url_of(process: subprocess.Popen[str]) -> str:
    """Read the URL that a worker prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def folders(place: Path) -> list[Path]:
    """List the servers' folders."""
    return [path for path in place.glob("tallybook-tests-*") if path.is_dir()]


def answers(url: str) -> bool:
    """Tell whether a server answers there."""
    with psycopg.connect(url, connect_timeout=5) as session:
        return session.execute("SELECT 6 * 7").fetchone() == (42,)


def test_the_workers_of_a_session_share_one_server_and_the_last_one_removes_it(tmp_path: Path) -> None:
    with worker(tmp_path, "one") as first, worker(tmp_path, "one") as second:
        urls = {url_of(first), url_of(second)}
        first.communicate(timeout=30)
        (url,) = urls

        answered = answers(url)

        second.communicate(timeout=30)
    assert answered
    assert folders(tmp_path) == []


def test_what_a_killed_session_left_is_stopped_and_removed_by_the_next(tmp_path: Path) -> None:
    with worker(tmp_path, "killed") as killed:
        left = url_of(killed)
        killed.kill()
    (home,) = folders(tmp_path)
    pid = EmbeddedPostgres(home).pid
    answered = answers(left)

    with worker(tmp_path, "next") as following:
        url = url_of(following)
        (now,) = folders(tmp_path)
        following.communicate(timeout=30)

    assert answered
    assert url != left
    assert now != home
    assert not Path(f"/proc/{pid}").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes()
    assert folders(tmp_path) == []


def test_a_server_from_outside_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYBOOK_TEST_DATABASE_URL", "postgresql://me@elsewhere/db")

    with running_server() as url:
        assert url == "postgresql://me@elsewhere/db"

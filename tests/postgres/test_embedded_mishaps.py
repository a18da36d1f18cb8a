"""What goes wrong around the embedded server: interrupted starts, stale files, copies, broken settings."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from embedded_child import child, end_servers_below

from tallybook.postgres.embedded import EmbeddedPostgres, EmbeddedPostgresError
from tallybook.postgres.embedded.locks import exclusive


@pytest.fixture(autouse=True)
def _nothing_left_running(tmp_path: Path) -> Iterator[None]:
    """End the servers of a test that failed."""
    yield
    end_servers_below(tmp_path)


@pytest.fixture
def bystander() -> Iterator[int]:
    """The id of a live process that has nothing to do with PostgreSQL."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    yield process.pid
    assert process.poll() is None, "somebody ended the bystander"
    process.kill()
    process.wait()


def value(url: str, question: str) -> object:
    """Ask one question in a session of its own."""
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as session:
        row = session.execute(question.encode()).fetchone()
    assert row is not None
    return row[0]


def remember_a_number(server: EmbeddedPostgres) -> None:
    """Commit something that can be asked for later."""
    with psycopg.connect(server.superuser_url(), autocommit=True) as session:
        session.execute("CREATE TABLE kept AS SELECT 42 AS value")


@pytest.mark.parametrize("stage", ["PG_VERSION", "postgresql.conf", "base/1/PG_VERSION"])
def test_a_first_start_that_is_killed_leaves_nothing_half_made(tmp_path: Path, stage: str) -> None:
    home = tmp_path / "data"
    script = "import sys, pathlib, tallybook.postgres.embedded as e\n"
    script += "e.EmbeddedPostgres(pathlib.Path(sys.argv[1])).start()"
    with subprocess.Popen([sys.executable, "-c", script, str(home)]) as first:
        while not list(home.glob(f"cluster.new-*/{stage}")):
            assert first.poll() is None, "it ended before it could be killed"
        first.kill()
    finished = (home / "cluster").exists()

    with EmbeddedPostgres(home) as server:
        remember_a_number(server)
        left = [path.name for path in home.iterdir() if ".new" in path.name]

        assert not finished
        assert left == []
        assert value(server.superuser_url(), "SELECT value FROM kept") == 42


def test_a_stale_pid_file_that_names_a_foreign_process_is_no_obstacle(tmp_path: Path, bystander: int) -> None:
    server = EmbeddedPostgres(tmp_path / "data")
    server.start()
    remember_a_number(server)
    server.kill()
    pid_file = tmp_path / "data" / "cluster" / "postmaster.pid"
    _, rest = pid_file.read_text().split("\n", 1)
    pid_file.write_text(f"{bystander}\n{rest}")

    alive_before = server.is_running()
    server.start()

    assert not alive_before
    assert server.pid != bystander
    assert value(server.superuser_url(), "SELECT value FROM kept") == 42
    server.stop()


def test_a_copy_of_the_folder_of_a_running_server_has_a_life_of_its_own(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "data") as original:
        remember_a_number(original)
        with psycopg.connect(original.superuser_url(), autocommit=True) as session:
            session.execute("CHECKPOINT")
            shutil.copytree(tmp_path / "data", tmp_path / "copy")

            with EmbeddedPostgres(tmp_path / "copy") as copy:
                assert copy.pid != original.pid
                assert copy.port != original.port
                assert value(copy.superuser_url(), "SELECT value FROM kept") == 42
                copy.kill()

            assert session.execute("SELECT 6 * 7").fetchone() == (42,)


def test_no_second_server_starts_while_a_process_of_the_first_lives(tmp_path: Path) -> None:
    home = tmp_path / "data"
    with child("itself", home) as (_, told):
        (home / "cluster" / "postmaster.pid").rename(home / "hidden")
        script = "import sys, pathlib, tallybook.postgres.embedded.locks as l\n"
        script += "print(l.try_to_own(pathlib.Path(sys.argv[1])))"
        lock = str(home / "server.lock")

        tried = subprocess.run(
            [sys.executable, "-c", script, lock], capture_output=True, text=True, check=True
        )

        (home / "hidden").rename(home / "cluster" / "postmaster.pid")
        assert tried.stdout.strip() == "None"
        assert value(told["url"], "SELECT 6 * 7") == 42


def test_a_folder_of_another_major_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "data", version=16, durable=False) as older:
        remember_a_number(older)

    with pytest.raises(EmbeddedPostgresError, match="made by PostgreSQL 16, and this is 18"):
        EmbeddedPostgres(tmp_path / "data", version=18).start()

    with EmbeddedPostgres(tmp_path / "data", version=16, durable=False) as older:
        assert value(older.superuser_url(), "SELECT value FROM kept") == 42


def test_a_server_that_cannot_start_says_why_at_once(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "data", durable=False)
    server.start()
    server.stop()
    settings = tmp_path / "data" / "cluster" / "postgresql.auto.conf"
    settings.write_text("shared_buffers = 'a lot'\n")

    before = time.monotonic()
    with pytest.raises(EmbeddedPostgresError) as caught:
        server.start()

    assert 'invalid value for parameter "shared_buffers"' in str(caught.value)
    assert "does not start in" in str(caught.value)
    assert time.monotonic() - before < 5
    assert not server.is_running()


def test_the_supervisor_reports_a_server_that_cannot_be_restarted_and_goes_on_trying(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "data", durable=False)
    server.start()
    settings = tmp_path / "data" / "cluster" / "postgresql.auto.conf"
    settings.write_text("shared_buffers = 'a lot'\n")
    supervisor = server.supervise(interval=0.02)

    server.kill()
    deadline = time.monotonic() + 10
    while supervisor.last_error is None and time.monotonic() < deadline:
        time.sleep(0.02)
    complaint = str(supervisor.last_error)
    settings.write_text("")
    while not supervisor.restarts and time.monotonic() < deadline:
        time.sleep(0.02)

    supervisor.stop()
    assert "shared_buffers" in complaint
    assert supervisor.restarts == 1
    assert value(server.superuser_url(), "SELECT 6 * 7") == 42
    server.stop()


def test_whoever_holds_the_folder_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "starting.lock"
    named = f"Process {os.getpid()} has been starting"

    with (
        exclusive(lock, timeout=1),
        pytest.raises(EmbeddedPostgresError, match=named),
        exclusive(lock, timeout=0.1),
    ):
        pytest.fail("two holders at once")


@pytest.mark.parametrize("hangs", [False, True])
def test_a_server_that_does_not_stop_is_ended_the_hard_way(tmp_path: Path, *, hangs: bool) -> None:
    server = EmbeddedPostgres(tmp_path / "data")
    server.start()
    remember_a_number(server)
    session = psycopg.connect(server.superuser_url(), autocommit=True)
    if hangs:
        os.kill(server.pid, signal.SIGSTOP)

    stopped = server.stop("smart", patience=0.3)

    session.close()
    assert stopped
    assert not server.is_running()
    server.start()
    assert value(server.superuser_url(), "SELECT value FROM kept") == 42
    server.stop()


def test_a_folder_name_with_blanks_quotes_and_other_letters_is_fine(tmp_path: Path) -> None:
    home = tmp_path / 'it\'s a "böse" $HOME'

    with EmbeddedPostgres(home, durable=False) as server:
        pid = server.pid
        again = EmbeddedPostgres(home, durable=False)
        again.start()

        assert again.pid == pid
        assert value(again.superuser_url(), "SELECT 6 * 7") == 42
        assert again.stop() is False


def test_an_unknown_version_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="comes as 16 and 18, not 12"):
        EmbeddedPostgres(tmp_path / "data", version=12).start()


def test_a_lost_password_file_is_a_clear_error(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "data", durable=False)
    server.start()
    (tmp_path / "data" / "superuser.password").unlink()

    with pytest.raises(EmbeddedPostgresError, match="Put it back from a backup"):
        server.superuser_url()

    os.kill(server.pid, signal.SIGTERM)
    server.stop()

"""The embedded server keeps data, refuses strangers and survives crashes; accounts are tested next door."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
from embedded_child import child, end_servers_below

from tallybook.postgres.embedded import EmbeddedPostgres, EmbeddedPostgresError, Supervisor


@pytest.fixture(autouse=True)
def _nothing_left_running(tmp_path: Path) -> Iterator[None]:
    """End the servers of a test that failed."""
    yield
    end_servers_below(tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A started server with everything that makes it durable."""
    with EmbeddedPostgres(tmp_path / "data") as started:
        yield started


def ask(url: str, question: str) -> object:
    """Run one statement in a session of its own; gives the first value of its answer, if it has one."""
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as session:
        cursor = session.execute(question.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def wait_for(condition: Callable[[], bool], *, seconds: float = 10.0) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.mark.parametrize("version", [16, 18])
def test_both_versions_start_and_keep_their_data_over_a_restart(tmp_path: Path, version: int) -> None:
    server = EmbeddedPostgres(tmp_path / "data", version=version)
    server.start()
    ask(server.superuser_url(), "CREATE TABLE kept AS SELECT 42 AS value")
    first = (server.port, server.pid)

    stopped = server.stop()
    server.start()

    assert stopped
    assert server.port == first[0]
    assert server.pid != first[1]
    assert ask(server.superuser_url(), "SELECT value FROM kept") == 42
    assert str(ask(server.superuser_url(), "SHOW server_version")).startswith(f"{version}.")
    server.stop()
    assert not server.is_running()


def test_it_is_durable_and_sorts_the_same_everywhere(server: EmbeddedPostgres) -> None:
    wanted = {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "wal_level": "replica",
        "data_checksums": "on",
        "server_encoding": "UTF8",
        "max_connections": "200",
        "TimeZone": "UTC",
    }

    found = {name: ask(server.superuser_url(), f"SHOW {name}") for name in wanted}

    assert found == wanted
    assert ask(server.superuser_url(), "SELECT 'Zoë' < 'apple' AND lower('É') = 'é'") is True


def test_a_started_folder_starts_again_in_less_than_a_second(server: EmbeddedPostgres) -> None:
    server.stop()

    before = time.monotonic()
    server.start()

    assert time.monotonic() - before < 1.0


def test_committed_rows_survive_sigkill_of_every_process(server: EmbeddedPostgres) -> None:
    ask(server.superuser_url(), "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS value")
    port = server.port

    server.kill()
    gone = not server.is_running()
    server.start()

    assert gone
    assert server.port == port
    assert ask(server.superuser_url(), "SELECT count(*) FROM kept") == 1000


def test_a_backend_that_outlives_its_postmaster_does_not_block_the_next_start(
    server: EmbeddedPostgres,
) -> None:
    endless = "SELECT count(*) FROM generate_series(1, 100000000000)"
    thread = threading.Thread(target=_ignoring_the_end, args=(server.superuser_url(), endless))
    thread.start()
    running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT count(*) FROM gen%'"
    wait_for(lambda: ask(server.superuser_url(), running) == 1)

    old = server.pid
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: not server.is_running())
    server.start()

    thread.join(timeout=10)
    assert not thread.is_alive()
    assert server.pid != old
    assert ask(server.superuser_url(), running) == 0


def _ignoring_the_end(url: str, question: str) -> None:
    with pytest.raises(psycopg.OperationalError):
        ask(url, question)


def test_a_second_start_uses_the_running_server_and_the_last_user_stops_it(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    second = EmbeddedPostgres(tmp_path / "data")

    second.start()

    assert second.pid == server.pid
    assert server.stop() is False
    assert ask(second.superuser_url(), "SELECT 1") == 1
    assert second.stop() is True
    assert not second.is_running()


def test_first_starts_at_the_same_time_make_one_server(tmp_path: Path) -> None:
    servers = [EmbeddedPostgres(tmp_path / "data", durable=False) for _ in range(4)]

    threads = [threading.Thread(target=server.start) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert len({server.pid for server in servers}) == 1
    assert [server.stop() for server in servers] == [False, False, False, True]


def test_a_server_whose_parent_was_killed_is_adopted_and_stopped(tmp_path: Path) -> None:
    with child("itself", tmp_path / "data") as (parent, told):
        ask(told["url"], "CREATE TABLE kept AS SELECT 7 AS value")
        parent.kill()
        parent.wait()
    server = EmbeddedPostgres(tmp_path / "data")

    server.start()

    assert server.pid == told["pid"]
    assert ask(server.superuser_url(), "SELECT value FROM kept") == 7
    assert server.stop() is True
    assert not server.is_running()


def _restarted(supervisor: Supervisor, before: int) -> bool:
    return supervisor.restarts > before


def test_the_supervisor_restarts_a_dead_server_on_its_port(server: EmbeddedPostgres) -> None:
    supervisor = server.supervise(interval=0.02)
    url = server.superuser_url()
    for _ in range(3):
        restarts = supervisor.restarts

        server.kill()

        wait_for(partial(_restarted, supervisor, restarts))
        assert server.superuser_url() == url
        assert ask(url, "SELECT 1") == 1
    supervisor.stop()
    assert supervisor.restarts == 3
    assert supervisor.last_error is None


def test_a_wrong_or_missing_password_is_refused(server: EmbeddedPostgres) -> None:
    stored = ask(server.superuser_url(), "SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'")
    wrong = server.url("postgres", "wrong", "postgres")

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        ask(wrong, "SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        ask(wrong.replace(":wrong", ""), "SELECT 1")

    assert str(stored).startswith("SCRAM-SHA-256$")
    rules = "SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules"
    assert ask(server.superuser_url(), rules) == "scram-sha-256"


def test_it_listens_on_the_loopback_address_alone(server: EmbeddedPostgres) -> None:
    with socket.create_server(("127.0.0.2", 0)):
        others = ["127.0.0.2", *{item[4][0] for item in socket.getaddrinfo(socket.gethostname(), None)}]

    for address in {str(other) for other in others} - {"127.0.0.1"}:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family) as probe:
            assert probe.connect_ex((address, server.port)) != 0, address

    assert ask(server.superuser_url(), "SHOW listen_addresses") == "127.0.0.1"
    assert ask(server.superuser_url(), "SHOW unix_socket_directories") == ""


def test_a_remembered_port_that_is_taken_is_replaced(server: EmbeddedPostgres) -> None:
    port = server.port
    server.stop()

    with socket.create_server(("127.0.0.1", port)):
        server.start()

    assert server.port != port
    assert ask(server.superuser_url(), "SELECT 1") == 1


def test_a_fixed_port_that_is_taken_is_a_clear_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = EmbeddedPostgres(tmp_path / "data", port=port, durable=False)

        with pytest.raises(EmbeddedPostgresError, match=f"Port {port} .* is taken"):
            server.start()

    assert not server.is_running()
    server.start()
    assert server.port == port
    server.stop()

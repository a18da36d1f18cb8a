"""The embedded server runs for root and for an ordinary user, and leaves the folders around it alone.

Where the tests themselves run as an ordinary user, that is the one account they can try.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from embedded_child import NOBODY, child, end_servers_below, ways

from tallybook.postgres.embedded import EmbeddedPostgres


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any account can reach and write, unlike pytest's own, which is its owner's alone."""
    folder = Path(tempfile.mkdtemp(prefix="tallybook-accounts-"))
    folder.chmod(0o777)
    yield folder
    end_servers_below(folder)
    shutil.rmtree(folder)


def permissions(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """Note mode, owner and group of a folder and of all folders above it."""
    found = {}
    for place in (folder, *folder.parents):
        state = place.stat()
        found[place] = (stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid)
    return found


def expected_account(how: str) -> int:
    """Say whose process the server has to be, seen from here."""
    if how == "itself":
        return os.geteuid()
    if how == "ordinary":
        return NOBODY
    known = {entry.pw_name: entry.pw_uid for entry in pwd.getpwall()}
    return known.get("postgres", known["nobody"])


def value(url: str, question: str) -> object:
    """Ask one question in a session of its own."""
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as session:
        row = session.execute(question.encode()).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize("version", [16, 18])
@pytest.mark.parametrize("how", ways())
def test_it_runs_under_every_kind_of_account(open_folder: Path, how: str, version: int) -> None:
    before = permissions(open_folder)

    with child(how, open_folder / "data", version=version) as (_, told):
        answer = value(told["url"], "SELECT 6 * 7")
        server_account = Path(f"/proc/{told['pid']}").stat().st_uid

    owner = (open_folder / "data" / "cluster").stat()
    assert answer == 42
    assert owner.st_uid == server_account == expected_account(how)
    assert stat.S_IMODE(owner.st_mode) == 0o700
    assert stat.S_IMODE((open_folder / "data" / "superuser.password").stat().st_mode) == 0o600
    assert permissions(open_folder) == before


def test_it_runs_below_a_folder_that_only_its_owner_may_enter(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    before = permissions(closed)

    with EmbeddedPostgres(closed / "data", durable=False) as server:
        answer = value(server.superuser_url(), "SELECT 6 * 7")

    assert answer == 42
    assert permissions(closed) == before


@pytest.mark.parametrize("how", [way for way in ways() if way == "no-namespaces"])
def test_root_is_told_what_to_change_when_no_account_can_reach_the_folder(tmp_path: Path, how: str) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    before = permissions(closed)

    with child(how, closed / "data") as (_, told):
        error = told["error"]

    assert "user.max_user_namespaces" in error
    assert "DATABASE_URL" in error
    assert "the account nobody: " in error
    assert not (closed / "data" / "cluster").exists()
    assert permissions(closed) == before


@pytest.mark.parametrize("first", ways())
def test_a_folder_made_by_another_account_goes_on_under_the_testing_one(
    open_folder: Path, first: str
) -> None:
    with child(first, open_folder / "data") as (_, told):
        value(told["url"], "SELECT pg_switch_wal()")

    with EmbeddedPostgres(open_folder / "data", durable=False) as server:
        answer = value(server.superuser_url(), "SELECT 6 * 7")

    assert answer == 42


@pytest.mark.parametrize("how", [way for way in ways() if way == "ordinary"])
def test_an_ordinary_user_is_told_whose_folder_it_is(open_folder: Path, how: str) -> None:
    with EmbeddedPostgres(open_folder / "data", durable=False) as server:
        server.stop()

    with child(how, open_folder / "data") as (_, told):
        error = told["error"]

    assert "belongs to another account" in error

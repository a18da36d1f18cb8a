"""Ways to plant a bug into a running bank, and to take it out again; the source tree stays as it is.

Functions of the database are replaced by their own text with a change, as their owner; a text that is not found fails
the canary, so that a plant cannot become harmless unnoticed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import running_service
from faults.bank import Bank

import tallybook.postgres

FUNCTIONS = Path(tallybook.postgres.__path__[0]) / "functions"
TESTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Change:
    """In the text of one SQL function: ``old`` becomes ``new``, as often as it is expected there."""

    function: str
    old: str
    new: str
    times: int = 1


def function_text(name: str) -> str:
    """The statement that replaces a function by itself."""
    head = f"CREATE FUNCTION tallybook.{name}("
    [source] = (
        text for path in FUNCTIONS.glob("*.sql") if head in (text := path.read_text(encoding="utf-8"))
    )
    start = source.index(head)
    end = source.index("END $$;", start) + len("END $$;")
    return source[start:end].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1)


@contextmanager
def changed(bank: Bank, *changes: Change) -> Iterator[None]:
    """The database's functions with these changes, for as long as the block runs."""
    texts = {change.function: function_text(change.function) for change in changes}
    for change in changes:
        found = texts[change.function].count(change.old)
        assert found == change.times, f"{change.function}: {change.old!r} is there {found} times"
        texts[change.function] = texts[change.function].replace(change.old, change.new)
    with psycopg.connect(bank.database.owner_url, autocommit=True) as owner:
        for text in texts.values():
            owner.execute(text.encode())
        try:
            yield
        finally:
            for name in texts:
                owner.execute(function_text(name).encode())


@contextmanager
def without_constraints(bank: Bank, *constraints: tuple[str, str]) -> Iterator[None]:
    """Without these CHECK constraints (table, name); afterwards they hold for new rows again."""
    with psycopg.connect(bank.database.owner_url, autocommit=True) as owner:
        kept = []
        for table, name in constraints:
            row = owner.execute(
                "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
                " WHERE conname = %s AND conrelid = %s::regclass AND contype = 'c'",
                [name, f"tallybook.{table}"],
            ).fetchone()
            assert row is not None, f"there is no constraint {name}"
            kept.append((table, name, row[0]))
            owner.execute(f"ALTER TABLE tallybook.{table} DROP CONSTRAINT {name}".encode())
        try:
            yield
        finally:
            for table, name, definition in kept:
                text = f"ALTER TABLE tallybook.{table} ADD CONSTRAINT {name} {definition} NOT VALID"
                owner.execute(text.encode())


@dataclass(slots=True)
class Planted(running_service.Service):
    """The service or the worker with bugs planted (names of ``planted.BUGS``)."""

    bugs: tuple[str, ...] = ()

    def start(self, *, await_ready: bool = True) -> None:
        """Start it through ``faults.planted``."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "faults.planted", ",".join(self.bugs), *self.arguments],
                env=self.env | {"PYTHONPATH": str(TESTS)},
                stdout=log,
                stderr=log,
                cwd=self.log.parent,
            )
        assert not await_ready, "the bank waits for it"


def planted(program: running_service.Service, bugs: tuple[str, ...], **env: str) -> Planted:
    """The same program with bugs planted; not started."""
    return Planted(
        env=program.env | env, port=program.port, log=program.log, arguments=program.arguments, bugs=bugs
    )


@contextmanager
def planted_service(bank: Bank, *bugs: str) -> Iterator[None]:
    """The service with bugs planted, for as long as the block runs."""
    sound = bank.serve
    sound.kill()
    bank.serve = planted(sound, bugs)
    try:
        bank.revive_service()
        yield
    finally:
        bank.serve.kill()
        bank.serve = sound
        bank.revive_service()


@contextmanager
def asynchronous_commit(bank: Bank) -> Iterator[None]:
    """Commits are acknowledged before they are on the disk."""
    url = bank.database.superuser_url
    settings = (("synchronous_commit", "off"), ("wal_writer_delay", "'10s'"))
    with psycopg.connect(url, autocommit=True) as superuser:
        for name, value in settings:
            superuser.execute(f"ALTER SYSTEM SET {name} = {value}".encode())
        superuser.execute("SELECT pg_reload_conf()")
    time.sleep(0.3)  # until the connections that are open have heard of it
    try:
        yield
    finally:
        with psycopg.connect(url, autocommit=True) as superuser:
            for name, _ in settings:
                superuser.execute(f"ALTER SYSTEM RESET {name}".encode())
            superuser.execute("SELECT pg_reload_conf()")

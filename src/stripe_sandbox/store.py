"""The sandbox's own books: one SQLite file that survives SIGKILL, or memory.

Holds API objects as JSON with private notes beside them (never rendered), idempotency records,
webhook deliveries and settings. Leaves meaning to the modules that write here. One connection,
used from the event loop's thread only, so a transaction is never interleaved with another.
"""

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stripe_sandbox.kinds import Json

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  created INTEGER NOT NULL,
  deleted INTEGER NOT NULL DEFAULT 0,
  body TEXT NOT NULL,
  private TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX IF NOT EXISTS objects_kind ON objects (kind, seq);
CREATE INDEX IF NOT EXISTS objects_customer ON objects (kind, json_extract(body, '$.customer'));
CREATE INDEX IF NOT EXISTS objects_intent ON objects (kind, json_extract(body, '$.payment_intent'));
CREATE INDEX IF NOT EXISTS objects_status ON objects (kind, json_extract(body, '$.status'));
CREATE INDEX IF NOT EXISTS objects_lookup ON objects (kind, json_extract(body, '$.lookup_key'));
CREATE TABLE IF NOT EXISTS idempotency (
  key TEXT PRIMARY KEY,
  fingerprint TEXT NOT NULL,
  status INTEGER NOT NULL,
  body TEXT NOT NULL,
  request_id TEXT NOT NULL,
  created INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS deliveries (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  event TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'pending',
  attempts INTEGER NOT NULL DEFAULT 0,
  next_at REAL NOT NULL,
  response_status INTEGER,
  error TEXT,
  UNIQUE (event, endpoint)
);
CREATE TABLE IF NOT EXISTS attempts (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  event TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  cause TEXT NOT NULL,
  at REAL NOT NULL,
  response_status INTEGER,
  error TEXT
);
CREATE INDEX IF NOT EXISTS attempts_event ON attempts (event, id);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (status, next_at);
CREATE TABLE IF NOT EXISTS alarms (
  object TEXT NOT NULL,
  what TEXT NOT NULL,
  clock TEXT NOT NULL DEFAULT '',
  at INTEGER NOT NULL,
  PRIMARY KEY (object, what)
);
CREATE INDEX IF NOT EXISTS alarms_due ON alarms (clock, at);
CREATE INDEX IF NOT EXISTS objects_invoice ON objects (kind, json_extract(body, '$.invoice'));
CREATE INDEX IF NOT EXISTS objects_subscription ON objects (kind, json_extract(body, '$.subscription'));
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

_FIELD = re.compile(r"^[a-z_.]+$")


@dataclass(frozen=True)
class Where:
    """A piece of SQL condition with its values."""

    sql: str
    values: tuple[Any, ...] = ()


def field_is(path: str, *values: str | int) -> Where:
    """Return the condition that the body's field `path` is one of `values`."""
    assert _FIELD.match(path), path
    marks = ",".join("?" for _ in values)
    return Where(f"json_extract(body, '$.{path}') IN ({marks})", values)


class Store:
    """All state of one sandbox."""

    def __init__(self, path: Path | None = None) -> None:
        """Open or create the books at `path`; in memory if it is ``None``."""
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        self.db.row_factory = sqlite3.Row
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=NORMAL")
        self.db.executescript(_SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what the block writes, or nothing if it raises."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Undo all that the block writes, inside a transaction: for previews of what would happen."""
        self.db.execute("SAVEPOINT rehearsal")
        try:
            yield
        finally:
            self.db.execute("ROLLBACK TO rehearsal")
            self.db.execute("RELEASE rehearsal")

    def add(self, body: Json, *, private: Json | None = None, created: int) -> Json:
        """Write down a new object; `created` is in seconds since 1970."""
        self.db.execute(
            "INSERT INTO objects (id, kind, created, body, private) VALUES (?, ?, ?, ?, ?)",
            (body["id"], body["object"], created, json.dumps(body), json.dumps(private or {})),
        )
        return body

    def save(self, body: Json) -> Json:
        """Overwrite a known object, leaving its private notes alone."""
        done = self.db.execute(
            "UPDATE objects SET body = ?, deleted = ? WHERE id = ?",
            (json.dumps(body), int(bool(body.get("deleted"))), body["id"]),
        )
        assert done.rowcount == 1, body["id"]
        return body

    def get(self, object_id: str, kind: str | None = None) -> Json | None:
        """Return an object (a deleted one as its stub), or ``None``."""
        row = self.db.execute(
            "SELECT body FROM objects WHERE id = ? AND (? IS NULL OR kind = ?)",
            (object_id, kind, kind),
        ).fetchone()
        return None if row is None else _object(row["body"])

    def private(self, object_id: str) -> Json:
        """Return the notes beside an object; they never leave the sandbox."""
        row = self.db.execute("SELECT private FROM objects WHERE id = ?", (object_id,)).fetchone()
        assert row is not None, object_id
        return _object(row["private"])

    def note(self, object_id: str, **notes: object) -> None:
        """Add to the notes beside an object."""
        merged = self.private(object_id) | notes
        self.db.execute("UPDATE objects SET private = ? WHERE id = ?", (json.dumps(merged), object_id))

    def seq(self, object_id: str, kind: str) -> int | None:
        """Return the place of an object in the order of creation."""
        row = self.db.execute(
            "SELECT seq FROM objects WHERE id = ? AND kind = ?", (object_id, kind)
        ).fetchone()
        return None if row is None else int(row["seq"])

    def find(
        self,
        kind: str,
        where: Sequence[Where] = (),
        *,
        limit: int | None = None,
        oldest_first: bool = False,
    ) -> list[Json]:
        """Return living objects of a kind that meet all conditions, newest first by default."""
        sql = ["SELECT body FROM objects WHERE kind = ? AND deleted = 0"]
        values: list[Any] = [kind]
        for condition in where:
            sql.append(f"AND ({condition.sql})")
            values.extend(condition.values)
        sql.append("ORDER BY seq" if oldest_first else "ORDER BY seq DESC")
        if limit is not None:
            sql.append("LIMIT ?")
            values.append(limit)
        return [_object(row["body"]) for row in self.db.execute(" ".join(sql), values)]

    def setting(self, name: str) -> str | None:
        """Return a stored setting."""
        row = self.db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row["value"])

    def set_setting(self, name: str, value: str) -> None:
        """Store a setting; it outlives a restart."""
        self.db.execute("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", (name, value))

    def close(self) -> None:
        """Close the file."""
        self.db.close()


def _object(text: str) -> Json:
    value = json.loads(text)
    assert isinstance(value, dict)
    return value

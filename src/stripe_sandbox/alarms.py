"""What is to happen at a later time: one row for each object and purpose, on real time or a test clock.

Leaves what happens then to ``ringing``. An alarm that rings is gone; who wants another sets it.
"""

from dataclasses import dataclass

from stripe_sandbox.call import Call
from stripe_sandbox.store import Store


@dataclass(frozen=True)
class Alarm:
    """One thing to do; `at` is in seconds since 1970."""

    object_id: str
    what: str
    at: int


def put(call: Call, object_id: str, what: str, at: int) -> None:
    """Set or move an alarm, on the clock of the call."""
    call.store.db.execute(
        "INSERT OR REPLACE INTO alarms (object, what, clock, at) VALUES (?, ?, ?, ?)",
        (object_id, what, call.clock, at),
    )


def drop(call: Call, object_id: str, *whats: str) -> None:
    """Take back the named alarms of an object; all of them if none is named."""
    if not whats:
        call.store.db.execute("DELETE FROM alarms WHERE object = ?", (object_id,))
    for what in whats:
        call.store.db.execute("DELETE FROM alarms WHERE object = ? AND what = ?", (object_id, what))


def due(store: Store, clock: str, until: int) -> bool:
    """Return whether an alarm of a clock is due at `until`."""
    sql = "SELECT EXISTS (SELECT 1 FROM alarms WHERE clock = ? AND at <= ?)"
    return bool(store.db.execute(sql, (clock, until)).fetchone()[0])


def take(store: Store, clock: str, until: int) -> Alarm | None:
    """Remove and return the earliest alarm of a clock that is due at `until`."""
    row = store.db.execute(
        "SELECT object, what, at FROM alarms WHERE clock = ? AND at <= ? ORDER BY at, rowid LIMIT 1",
        (clock, until),
    ).fetchone()
    if row is None:
        return None
    store.db.execute("DELETE FROM alarms WHERE object = ? AND what = ?", (row["object"], row["what"]))
    return Alarm(row["object"], row["what"], int(row["at"]))

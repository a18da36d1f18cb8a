"""The lines of the outbox: accept, find, claim, and write down what became of them."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from credit_sdk.answers import PostedTransfer, SettledHold
from credit_sdk.errors import CreditError, LeaseExhaustedError
from credit_sdk.outbox.ladder import CAPTURES, End, Step
from credit_sdk.outbox.rows import OutboxSpend, State, canonical, moment, now_ms
from credit_sdk.outbox.store import Store

KEPT_MS = 30 * 86_400_000
_NEXT = """
    SELECT * FROM lines
    WHERE state = 'pending' AND id > ? AND NOT EXISTS (
        SELECT 1 FROM spends AS other
        WHERE other.state = 'pending' AND other.holder = lines.holder AND other.id <= lines.id
            AND other.claimed_until > ? AND other.claimed_by <> ?
    ) ORDER BY id LIMIT 1
"""


class Spends:
    """The lines. Every method is one transaction."""

    def __init__(self, store: Store, claim_seconds: float) -> None:
        """``claim_seconds``: how long a line that somebody settles is left to them."""
        self._store = store
        self._claim_ms = int(claim_seconds * 1000)
        self._name = uuid4().hex

    def find(self, holder: str, key: str) -> OutboxSpend | None:
        """The line of a key."""
        with self._store.reading() as db:
            return _found(db, holder, key)

    def accept(
        self,
        holder: str,
        key: str,
        body: Mapping[str, Any],
        step: Step,
        *,
        mine: bool = False,
    ) -> tuple[OutboxSpend, bool]:
        """Take a spend from the holder's lease; with the line, whether it is new. On disk when this returns.

        With ``mine`` the line is claimed, for the caller settles it at once.

        Raises:
            LeaseExhaustedError: no lease, or it is over, or too little is left of it; nothing was written.
        """
        amount, now = body["amount_micro"], now_ms()
        with self._store.writing() as db:
            known = _found(db, holder, key)
            if known is not None:
                return known, False
            lease = db.execute(
                "SELECT * FROM leases WHERE holder = ? AND budget IS ? AND state = 'open'",
                (holder, body.get("budget")),
            ).fetchone()
            _require_room(lease, amount, now)
            db.execute(
                "UPDATE leases SET drawn_micro = drawn_micro + ?, used_at = ? WHERE id = ?",
                (amount, now, lease["id"]),
            )
            inserted = db.execute(
                "INSERT INTO spends (holder, key, amount_micro, body, lease, state, step, created_at,"
                " claimed_by, claimed_until) VALUES (?, ?, ?, ?, ?, 'pending', ?, ?, ?, ?)",
                (holder, key, amount, canonical(body), lease["id"], step, now)
                + ((self._name, now + self._claim_ms) if mine else (None, 0)),
            )
            return _by_id(db, inserted.lastrowid or 0), True

    def refuse(self, holder: str, key: str, body: Mapping[str, Any], short: CreditError) -> None:
        """Remember that the caller was told no, so that the same key is not told yes later."""
        amount, terms, facts = body["amount_micro"], canonical(body), json.dumps(short.facts)
        with self._store.writing() as db:
            db.execute(
                "INSERT OR IGNORE INTO spends (holder, key, amount_micro, body, state, step, problem, facts,"
                " created_at, settled_at) VALUES (?1, ?2, ?3, ?4, 'refused', 'spend', ?5, ?6, ?7, ?7)",
                (holder, key, amount, terms, short.code, facts, now_ms()),
            )

    def claim_next(self, after_id: int) -> OutboxSpend | None:
        """The next line to settle, claimed: the oldest of its holder, unless somebody else is at an older one."""
        now = now_ms()
        with self._store.writing() as db:
            row = db.execute(_NEXT, (after_id, now, self._name)).fetchone()
            if row is None:
                return None
            db.execute(
                "UPDATE spends SET claimed_by = ?, claimed_until = ? WHERE id = ?",
                (self._name, now + self._claim_ms, row["id"]),
            )
            return _spend(row)

    def put_back(self, spend: OutboxSpend, problem: CreditError) -> OutboxSpend:
        """Nothing is certain: leave the line at its step, with what was said, for another time."""
        with self._store.writing() as db:
            db.execute(
                "UPDATE spends SET tries = tries + 1, problem = ?, claimed_until = 0"
                " WHERE id = ? AND state = 'pending' AND step = ?",
                (problem.code, spend.id, spend.step),
            )
            return _by_id(db, spend.id)

    def step_on(self, spend: OutboxSpend, turn: Step | End, problem: CreditError) -> OutboxSpend:
        """Write down a certain refusal, and the step or the end that follows from it."""
        now = now_ms()
        with self._store.writing() as db:
            if isinstance(turn, Step):
                db.execute(
                    "UPDATE spends SET step = ?, tries = tries + 1, problem = ?, claimed_until = ?"
                    " WHERE id = ? AND state = 'pending' AND step = ?",
                    (turn, problem.code, now + self._claim_ms, spend.id, spend.step),
                )
            elif _end(db, spend, State.UNCOLLECTED, problem=problem.code, facts=json.dumps(problem.facts)):
                _free(db, spend)
            return _by_id(db, spend.id)

    def collected(self, spend: OutboxSpend, answer: PostedTransfer | SettledHold) -> OutboxSpend:
        """The service has booked it."""
        with self._store.writing() as db:
            kept = canonical(_kept(answer, spend))
            if _end(db, spend, State.COLLECTED, answer=kept) and spend.step not in CAPTURES:
                _free(db, spend)
            return _by_id(db, spend.id)

    def withdraw(self, spend: OutboxSpend, short: CreditError) -> None:
        """The caller was not told yes after all, so nothing is uncollected: credits were short."""
        with self._store.writing() as db:
            db.execute(
                "UPDATE spends SET state = 'refused', problem = ?, facts = ?"
                " WHERE id = ? AND state = 'uncollected'",
                (short.code, json.dumps(short.facts), spend.id),
            )

    def untold(self) -> list[OutboxSpend]:
        """The uncollected lines that nobody was told of."""
        return self._listed("SELECT * FROM lines WHERE state = 'uncollected' AND NOT told ORDER BY id")

    def told(self, spend: OutboxSpend) -> None:
        """Somebody knows."""
        with self._store.writing() as db:
            db.execute("UPDATE spends SET told = 1 WHERE id = ?", (spend.id,))

    def in_state(self, state: State) -> list[OutboxSpend]:
        """The lines in a state, oldest first."""
        return self._listed("SELECT * FROM lines WHERE state = ? ORDER BY id", state)

    def of_key(self, key: str) -> list[OutboxSpend]:
        """The lines of a key, whoever holds it."""
        return self._listed("SELECT * FROM lines WHERE key = ? ORDER BY id", key)

    def count(self, state: State) -> int:
        """How many lines are in a state."""
        with self._store.reading() as db:
            return int(db.execute("SELECT count(*) FROM spends WHERE state = ?", (state,)).fetchone()[0])

    def tidy(self) -> None:
        """Forget what was settled long ago; the ledger remembers it under its keys."""
        before = now_ms() - KEPT_MS
        with self._store.writing() as db:
            db.execute(
                "DELETE FROM spends WHERE state IN ('collected', 'refused') AND settled_at < ?", (before,)
            )
            db.execute(
                "DELETE FROM leases WHERE state IN ('ended', 'refused') AND valid_until < ?"
                " AND id NOT IN (SELECT lease FROM spends WHERE lease IS NOT NULL)",
                (before,),
            )

    def _listed(self, query: str, *values: object) -> list[OutboxSpend]:
        with self._store.reading() as db:
            return [_spend(row) for row in db.execute(query, values)]


def _found(db: sqlite3.Connection, holder: str, key: str) -> OutboxSpend | None:
    row = db.execute("SELECT * FROM lines WHERE holder = ? AND key = ?", (holder, key)).fetchone()
    return None if row is None else _spend(row)


def _by_id(db: sqlite3.Connection, spend_id: int) -> OutboxSpend:
    return _spend(db.execute("SELECT * FROM lines WHERE id = ?", (spend_id,)).fetchone())


def _require_room(lease: sqlite3.Row | None, amount: int, now: int) -> None:
    """Refuse what no lease covers."""
    if lease is None:
        raise LeaseExhaustedError(facts={"reason": "no_lease", "requested_micro": amount, "room_micro": 0})
    room = lease["amount_micro"] - lease["drawn_micro"]
    facts = {"requested_micro": amount, "room_micro": room, "hold": lease["hold"]}
    if lease["valid_until"] <= now:
        raise LeaseExhaustedError(facts={"reason": "expired", **facts})
    if room < amount:
        raise LeaseExhaustedError(facts={"reason": "exhausted", **facts})


def _end(db: sqlite3.Connection, spend: OutboxSpend, state: State, **what: str) -> bool:
    """End a line that is still where it was; whether it was."""
    ended = db.execute(
        "UPDATE spends SET state = ?, tries = tries + 1, settled_at = ?, problem = ?, facts = ?, answer = ?"
        " WHERE id = ? AND state = 'pending' AND step = ?",
        (state, now_ms(), what.get("problem"), what.get("facts"), what.get("answer"), spend.id, spend.step),
    )
    return ended.rowcount == 1


def _free(db: sqlite3.Connection, spend: OutboxSpend) -> None:
    """What was not taken from the hold after all can be taken by others."""
    db.execute(
        "UPDATE leases SET drawn_micro = drawn_micro - ? WHERE id = (SELECT lease FROM spends WHERE id = ?)",
        (spend.amount_micro, spend.id),
    )


def _kept(answer: PostedTransfer | SettledHold, spend: OutboxSpend) -> dict[str, Any]:
    """What the same key is answered from now on."""
    captured = isinstance(answer, SettledHold)
    assert answer.wallet_after is not None
    return {
        "id": answer.transfer if isinstance(answer, SettledHold) else answer.id,
        "wallet": answer.wallet,
        "kind": "capture" if captured else "spend",
        "amount_micro": spend.amount_micro,
        "wallet_after": dataclasses.asdict(answer.wallet_after),
        "created_at": answer.created_at.isoformat(),
    }


def _spend(row: sqlite3.Row) -> OutboxSpend:
    return OutboxSpend(
        id=row["id"],
        holder=row["holder"],
        key=row["key"],
        amount_micro=row["amount_micro"],
        body=json.loads(row["body"]),
        state=State(row["state"]),
        step=Step(row["step"]),
        tries=row["tries"],
        created_at=moment(row["created_at"]),
        hold=row["hold"],
        problem=row["problem"],
        facts=None if row["facts"] is None else json.loads(row["facts"]),
        answer=None if row["answer"] is None else json.loads(row["answer"]),
        settled_at=None if row["settled_at"] is None else moment(row["settled_at"]),
    )

"""The leases in the outbox file: which cover whom, and what should be done about them."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from dataclasses import dataclass
from enum import StrEnum

from credit_sdk.answers import PlacedHold
from credit_sdk.outbox.rows import Lease, canonical, now_ms
from credit_sdk.outbox.store import Store
from credit_sdk.outbox.terms import FailOpen
from credit_sdk.requests import new_key

MARGIN_MS_MAX = 5_000
REFUSED_MS_MAX = 30_000


class Act(StrEnum):
    """What is asked of the service for a lease."""

    PLACE = "place"
    EXTEND = "extend"
    RELEASE = "release"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A lease to do something about, claimed; the times of what is asked count from ``at``."""

    act: Act
    lease: Lease
    at: int


class Leases:
    """The leases. Every method is one transaction."""

    def __init__(self, store: Store, terms: FailOpen) -> None:
        """``terms``: how much is held for whom, and for how long."""
        self._store = store
        self._terms = terms
        self._lifetime_ms = terms.lifetime_seconds * 1000
        # The service counts from when it acts, we from before we ask: a margin for clocks that run apart.
        self._margin_ms = min(MARGIN_MS_MAX, self._lifetime_ms // 10)
        self._claim_ms = int(terms.claim_seconds * 1000)

    def due(self, holder: str, budget: str | None, *, used: bool) -> Task | None:
        """What should be done for a holder's lease now, claimed; ``used``: somebody just spent of theirs."""
        now = now_ms()
        with self._store.reading() as db:
            if self._wanted(db, holder, budget, now) is None and not (used and self._unused(db, holder, now)):
                return None
        with self._store.writing() as db:
            if used:
                db.execute(
                    "UPDATE leases SET used_at = ? WHERE holder = ? AND state IN ('placing', 'open')",
                    (now, holder),
                )
            wanted = self._wanted(db, holder, budget, now)
            if wanted is None:
                return None
            lease_id = wanted[1] if wanted[1] is not None else self._new(db, holder, budget, now, used=used)
            db.execute("UPDATE leases SET claimed_until = ? WHERE id = ?", (now + self._claim_ms, lease_id))
            return Task(act=wanted[0], lease=_by_id(db, lease_id), at=now)

    def active(self) -> list[tuple[str, str | None]]:
        """The holders, each with a budget, whose leases are kept; those of the idle begin to retire."""
        before = now_ms() - self._terms.idle_seconds * 1000
        with self._store.writing() as db:
            db.execute(
                "UPDATE leases SET state = 'retiring', claimed_until = 0 WHERE state = 'open' AND used_at <= ?",
                (before,),
            )
            found = db.execute(
                "SELECT DISTINCT holder, budget FROM leases WHERE state IN ('placing', 'open')"
                " AND used_at > ? ORDER BY holder",
                (before,),
            )
            return [(row["holder"], row["budget"]) for row in found]

    def retire_all(self) -> None:
        """Take nothing from any lease any more."""
        with self._store.writing() as db:
            db.execute("UPDATE leases SET state = 'retiring', claimed_until = 0 WHERE state = 'open'")

    def next_retired(self) -> Task | None:
        """A lease that is over and has no line to settle, claimed: what is left of it goes back."""
        now = now_ms()
        with self._store.writing() as db:
            row = db.execute(
                "SELECT id FROM leases WHERE state = 'retiring' AND claimed_until <= ? AND NOT EXISTS"
                " (SELECT 1 FROM spends WHERE spends.lease = leases.id AND spends.state = 'pending') LIMIT 1",
                (now,),
            ).fetchone()
            if row is None:
                return None
            db.execute("UPDATE leases SET claimed_until = ? WHERE id = ?", (now + self._claim_ms, row["id"]))
            return Task(act=Act.RELEASE, lease=_by_id(db, row["id"]), at=now)

    def opened(self, lease: Lease, placed: PlacedHold) -> None:
        """The hold is there: spends are taken from it from now on, and no longer from the one before."""
        # Only a hold token's carrier is not told, and no lease is placed by one.
        assert placed.wallet_after is not None
        with self._store.writing() as db:
            db.execute(
                "UPDATE leases SET state = 'retiring', claimed_until = 0"
                " WHERE holder = ? AND budget IS ? AND state = 'open'",
                (lease.holder, lease.budget),
            )
            db.execute(
                "UPDATE leases SET state = 'open', hold = ?, wallet = ?, balances = ?, claimed_until = 0"
                " WHERE id = ? AND state = 'placing'",
                (placed.id, placed.wallet, canonical(dataclasses.asdict(placed.wallet_after)), lease.id),
            )

    def extended(self, task: Task) -> None:
        """The hold lives on."""
        with self._store.writing() as db:
            db.execute(
                "UPDATE leases SET valid_until = max(valid_until, ?), claimed_until = 0 WHERE id = ?",
                (self._until(task.at), task.lease.id),
            )

    def refused(self, lease: Lease) -> None:
        """No lease for this holder now; ask again a little later."""
        pause = min(REFUSED_MS_MAX, self._lifetime_ms // 4)
        with self._store.writing() as db:
            db.execute(
                "UPDATE leases SET state = 'refused', valid_until = ? WHERE id = ? AND state = 'placing'",
                (now_ms() + pause, lease.id),
            )

    def retired(self, lease: Lease) -> None:
        """Nothing more is taken from it."""
        self._become("retiring", lease)

    def ended(self, lease: Lease) -> None:
        """Nothing of it is held any more."""
        self._become("ended", lease)

    def put_back(self, lease: Lease) -> None:
        """The service is away: somebody asks again later, for the same."""
        self._become(lease.state, lease)

    def lease_of(self, spend_id: int) -> Lease | None:
        """The lease that a line was taken from."""
        with self._store.reading() as db:
            row = db.execute("SELECT lease FROM spends WHERE id = ?", (spend_id,)).fetchone()
            return None if row is None or row["lease"] is None else _by_id(db, row["lease"])

    def _become(self, state: str, lease: Lease) -> None:
        with self._store.writing() as db:
            db.execute(
                "UPDATE leases SET state = ?, claimed_until = 0 WHERE id = ? AND state = ?",
                (state, lease.id, lease.state),
            )

    def _wanted(
        self, db: sqlite3.Connection, holder: str, budget: str | None, now: int
    ) -> tuple[Act, int | None] | None:
        """What a holder's lease needs, and which lease; None for a lease still to be made."""
        rows = db.execute(
            "SELECT * FROM leases WHERE holder = ? AND budget IS ? AND"
            " (state IN ('placing', 'open') OR (state = 'refused' AND valid_until > ?))",
            (holder, budget, now),
        ).fetchall()
        of = {row["state"]: row for row in rows}
        placing, lease = of.get("placing"), of.get("open")
        if placing is not None:
            if placing["claimed_until"] > now:
                return None
            # Asked for so long ago that it would be over by now: another one.
            return Act.PLACE, placing["id"] if placing["valid_until"] > now else None
        if lease is not None and lease["valid_until"] > now:
            half_over = lease["valid_until"] - now < self._lifetime_ms // 2
            if half_over and lease["claimed_until"] <= now:
                return Act.EXTEND, lease["id"]
            if 2 * (lease["amount_micro"] - lease["drawn_micro"]) >= lease["amount_micro"]:
                return None
        return None if "refused" in of else (Act.PLACE, None)

    def _unused(self, db: sqlite3.Connection, holder: str, now: int) -> bool:
        """Whether it was long not noted that the holder spends."""
        long_ago = now - self._terms.idle_seconds * 1000 // 4
        noted = db.execute(
            "SELECT 1 FROM leases WHERE holder = ? AND state = 'open' AND used_at <= ?", (holder, long_ago)
        )
        return noted.fetchone() is not None

    def _new(self, db: sqlite3.Connection, holder: str, budget: str | None, now: int, *, used: bool) -> int:
        """A lease to ask for, on disk before it is asked for: a hold is never forgotten."""
        db.execute(
            "UPDATE leases SET state = 'ended' WHERE holder = ? AND budget IS ? AND state = 'placing'",
            (holder, budget),
        )
        last = db.execute(
            "SELECT max(used_at) FROM leases WHERE holder = ? AND budget IS ?", (holder, budget)
        ).fetchone()[0]
        used_at = now if used or last is None else last
        made = db.execute(
            "INSERT INTO leases (holder, budget, key, state, amount_micro, asked_at, valid_until, used_at)"
            " VALUES (?, ?, ?, 'placing', ?, ?, ?, ?)",
            (holder, budget, f"lease.{new_key()}", self._terms.lease_micro, now, self._until(now), used_at),
        )
        assert made.lastrowid is not None
        return made.lastrowid

    def _until(self, at: int) -> int:
        return at + self._lifetime_ms - self._margin_ms


def _by_id(db: sqlite3.Connection, lease_id: int) -> Lease:
    row = db.execute("SELECT * FROM leases WHERE id = ?", (lease_id,)).fetchone()
    return Lease(
        id=row["id"],
        holder=row["holder"],
        budget=row["budget"],
        key=row["key"],
        state=row["state"],
        amount_micro=row["amount_micro"],
        drawn_micro=row["drawn_micro"],
        asked_at=row["asked_at"],
        valid_until=row["valid_until"],
        hold=row["hold"],
        wallet=row["wallet"],
        balances=None if row["balances"] is None else json.loads(row["balances"]),
    )

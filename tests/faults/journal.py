"""What the clients wrote down: what was asked under which key, what was answered, and which answers were lost.

The journal judges only what a client can see by itself: the same key must get the same answer. Whether the answers
are true is compared with the books in ``checks.py``.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

SETTLING = (200, 201, 402, 404, 409, 422)
FRESH = ("offers", "pay_url", "pay_url_reason", "resume_token")
"""What helps after a refusal is made anew for each answer; the refusal itself never changes."""
"""Statuses that say what happened; after any other answer, or none, the client does not know."""


@dataclass(slots=True)
class Entry:
    """One request of one client; ``status`` and ``answer`` stay None until some answer settles it."""

    number: int
    client: int
    op: str
    wallet_id: int
    key: str
    path: str
    body: dict[str, Any]
    amount_micro: int
    hold: str | None = None
    status: int | None = None
    answer: dict[str, Any] | None = None
    asked: int = 0
    lost: int = 0

    @property
    def succeeded(self) -> bool:
        """Whether it was answered with a 2xx."""
        return self.status is not None and self.status < 300

    @property
    def final(self) -> bool:
        """Whether nothing may be left of its hold after it."""
        return self.op == "release" or (self.op == "capture" and self.body.get("final", True))


@dataclass(slots=True)
class Purchase:
    """One checkout that a buyer opened; ``session`` is None until the answer came."""

    key: str
    user_id: int
    wallet_id: int
    price: str
    session: str | None = None
    checkout: str | None = None
    credits_micro: int = 0


@dataclass(slots=True)
class Journal:
    """All entries of a run, also as lines of a file; ``faults`` are broken promises that clients saw."""

    file: TextIO
    entries: list[Entry] = field(default_factory=list)
    purchases: list[Purchase] = field(default_factory=list)
    holds: list[Entry] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    unsettled: dict[int, Entry] = field(default_factory=dict)
    versions: Counter[int] = field(default_factory=Counter)
    """Per wallet, the highest version that any answer has named so far."""

    @classmethod
    def at(cls, place: Path) -> Journal:
        """A journal that writes to a new file."""
        return cls(place.open("x", encoding="utf-8"))

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def intend(self, entry: Entry) -> None:
        """Write a request down before it is sent."""
        self.entries.append(entry)
        self.unsettled[entry.number] = entry
        self._write("intends", entry, path=entry.path, body=entry.body)

    def lost(self, entry: Entry, why: str) -> None:
        """The request was sent; what became of it is unknown."""
        entry.lost += 1
        self.counts["lost"] += 1
        self.counts[why] += 1
        self._write("lost", entry, why=why)

    def answered(self, entry: Entry, status: int, answer: dict[str, Any]) -> None:
        """An answer came. The first settles the entry; each later one must be equal to it."""
        assert status in SETTLING, status
        answer = {name: value for name, value in answer.items() if name not in FRESH}
        self._write("answered", entry, status=status, answer=answer)
        if entry.status is None:
            if entry.lost:
                self.counts["settled by a replay"] += 1
            entry.status, entry.answer = status, answer
            del self.unsettled[entry.number]
            self.counts[f"{entry.op} {status}"] += 1
            if entry.op == "hold" and status == 201:
                self.holds.append(entry)
            return
        self.counts["replays"] += 1
        if (entry.status, entry.answer) != (status, answer):
            self.faults.append(
                f"I11 key {entry.key}: first {entry.status} {entry.answer}, then {status} {answer}"
            )

    def misused(self, entry: Entry, status: int, answer: dict[str, Any]) -> None:
        """A settled key was sent with other terms."""
        self._write("misused", entry, status=status, answer=answer)
        self.counts["misuses"] += 1
        if (status, answer.get("code")) != (422, "idempotency_key_reused"):
            self.faults.append(f"I11 key {entry.key} with other terms: {status} {answer}")

    def saw(self, wallet_id: int, balances: dict[str, Any], *, at_least: int) -> None:
        """A read or a first answer shows a wallet; time must not run backwards in it."""
        version = int(balances["version"])
        self.versions[wallet_id] = max(self.versions[wallet_id], version)
        if version < at_least:
            self.faults.append(f"I11 wallet {wallet_id}: version {version} after {at_least}")
        if min(balances["available_micro"], balances["held_micro"]) < 0:
            self.faults.append(f"I3 wallet {wallet_id}: {balances}")

    @property
    def unknown(self) -> list[Entry]:
        """Requests that are not settled, oldest first."""
        return list(self.unsettled.values())

    def _write(self, what: str, entry: Entry, **facts: Any) -> None:
        line = {"what": what, "client": entry.client, "op": entry.op, "key": entry.key} | facts
        self.file.write(json.dumps(line) + "\n")

"""What the model's wallet is made of: lots, holds, budgets, transfers, as plain values; times are whole seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

Pins = dict[int, int]

# What each kind does to available, held and debt; "owe" is the part of a clawback that becomes debt.
EFFECTS = {
    "grant": (1, 0, 0),
    "give_back": (1, 0, 0),
    "spend": (-1, 0, 0),
    "clawback": (-1, 0, 0),
    "expire": (-1, 0, 0),
    "repay": (-1, 0, -1),
    "owe": (0, 0, 1),
    "hold": (-1, 1, 0),
    "release": (1, -1, 0),
    "capture": (0, -1, 0),
    "delegate": (0, 0, 0),
    "return": (0, 0, 0),
}


class RefusedError(Exception):
    """A request that the model does not let through; the message is the code."""


@dataclass(slots=True)
class Lot:
    version: int
    source: str | None
    amount: int
    available: int
    priority: int
    expires_at: int | None
    reference: str | None

    @property
    def burns(self) -> tuple[int, float, int]:
        """Its place in the burn order."""
        return (self.priority, float("inf") if self.expires_at is None else self.expires_at, self.version)

    def has_expired(self, at: int) -> bool:
        return self.expires_at is not None and self.expires_at <= at


@dataclass(slots=True)
class Hold:
    version: int
    app: int
    placed: int
    pins: Pins
    policy: str
    estimate: int
    expires_at: int
    parent: int | None
    budgets: tuple[int, ...]
    captured: int = 0
    released: int = 0
    delegated: int = 0
    settled_by: str | None = None

    @property
    def remaining(self) -> int:
        return sum(self.pins.values())

    def take(self, amount: int) -> Pins:
        """The first of what it has pinned, in order."""
        taken: Pins = {}
        for lot in self.pins:
            part = min(self.pins[lot], amount)
            if part:
                taken[lot] = part
                self.pins[lot] -= part
                amount -= part
        assert amount == 0
        return taken


@dataclass(slots=True)
class Budget:
    budget_id: int
    parent: int | None
    app: int | None
    limit: int | None
    period: str
    start: int
    spent: int = 0
    reserved: int = 0
    keeper: int = 0

    def began(self, at: int) -> int:
        """When the period began that a time falls into."""
        if self.period == "none":
            return 0
        day = datetime.fromtimestamp(at, UTC).replace(hour=0, minute=0, second=0)
        if self.period == "week":
            day -= timedelta(days=day.weekday())
        elif self.period == "month":
            day = day.replace(day=1)
        return int(day.timestamp())

    def passed_by(self, amount: int, at: int) -> bool:
        spent = self.spent if self.start == self.began(at) else 0
        return self.limit is not None and spent + self.reserved + amount > self.limit

    def count(self, spent: int, reserved: int, at: int) -> None:
        if self.start != self.began(at):
            self.start, self.spent = self.began(at), 0
        self.spent = max(0, self.spent + spent)
        self.reserved += reserved


@dataclass(slots=True)
class Transfer:
    kind: str
    amount: int
    available: int
    held: int
    debt: int
    parts: Mapping[int, int]
    app: int
    hold: int | None
    undoes: int | None
    budgets: tuple[int, ...]
    at: int
    given: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to a request: a code, and what was booked when it is ok."""

    code: str
    version: int | None = None
    kind: str | None = None
    amount: int | None = None
    released: int | None = None
    repaid: int | None = None
    owed: int | None = None
    balances: tuple[int, int, int] | None = None
    last_version: int | None = None
    hold: int | None = None

"""A process of the crowd: a service's pool and group commit, and callers who do jobs and go on until they are answered.

Run as a program: its part comes as a line of JSON, it says ``ready``, waits for a line, works, and writes what its
callers were told into a file. Each job follows from its name alone, and two processes do each job at the same time,
under the same keys: so the two must be told the same.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tallybook.domain.errors import (
    BillingError,
    DatabaseUnavailableError,
    OverloadedError,
    WalletBusyError,
)
from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.requests import Answer, Posting
from tallybook.domain.money import Credits
from tallybook.postgres.group_commit import GroupCommit
from tallybook.postgres.pool import Database

MOST = 9
_DAY = 86_400
_PAUSE_SECONDS = 0.05
_TRIED_AGAIN = (DatabaseUnavailableError, OverloadedError, WalletBusyError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one process does; processes of the same ``pair`` do the same jobs."""

    url: str
    pair: int
    callers: int
    turns: int
    hot_wallet: int
    pooled_wallet: int
    path: list[int]
    journal: str


@dataclass(frozen=True, slots=True)
class Told:
    """What a caller was told under a key, when it asked first, and when it was told."""

    key: str
    sent: float
    received: float
    code: str
    answer: Answer | None

    def line(self) -> str:
        """As a line of a journal."""
        return json.dumps(asdict(self), default=str)

    @property
    def lasting(self) -> tuple[str, dict[str, Any] | None]:
        """What each who asks under the key must be told."""
        return self.code, None if self.answer is None else {**asdict(self.answer), "replayed": None}


def journal(place: Path) -> Iterator[Told]:
    """What a process has written down."""
    with place.open() as lines:
        for line in lines:
            read = json.loads(line)
            read["answer"] = None if read["answer"] is None else _answer(read["answer"])
            yield Told(**read)


def _answer(read: Mapping[str, Any]) -> Answer:
    return Answer(
        **{
            **read,
            "transfer": LedgerId(**read["transfer"]),
            "hold": None if read["hold"] is None else LedgerId(**read["hold"]),
            "created_at": datetime.fromisoformat(read["created_at"]),
        }
    )


class Caller:
    """Does one job after another, and asks again under the same key until it is told what became of it."""

    def __init__(self, door: GroupCommit, part: Part, number: int) -> None:
        """Remember nothing yet."""
        self.door, self.part, self.number = door, part, number
        self.told: list[Told] = []
        self.asked_again = 0

    async def ask(self, posting: Posting) -> Answer | None:
        """The answer, or None when it was refused."""
        assert posting.key is not None
        loop = asyncio.get_running_loop()
        sent = loop.time()
        while True:
            try:
                answer = await self.door.post(posting)
            except OverloadedError as refusal:
                answer = refusal
            if not isinstance(answer, _TRIED_AGAIN):
                break
            self.asked_again += 1
            await asyncio.sleep(_PAUSE_SECONDS)
        code = answer.code if isinstance(answer, BillingError) else "ok"
        found = answer if isinstance(answer, Answer) else None
        self.told.append(Told(posting.key, sent, loop.time(), code, found))
        return found

    async def work(self) -> None:
        """All of its jobs."""
        for turn in range(self.part.turns):
            await self.job(f"{self.part.pair}-{self.number}-{turn}")

    async def job(self, name: str) -> None:
        """A spend, or a hold that is settled at once: of the hot wallet, or somewhere on the budgets' path."""
        chance = random.Random(name)  # noqa: S311 - the same job for the same name
        is_hot, amount = chance.random() < 0.5, chance.randint(1, MOST)
        wallet = self.part.hot_wallet if is_hot else self.part.pooled_wallet
        budget = None if is_hot else chance.choice(self.part.path)
        if chance.random() < 0.5:
            await self.ask(recipes.spend(wallet, Credits(amount), app_id=1, key=name, budget_id=budget))
            return
        placed = await self.ask(
            recipes.hold(
                wallet, Credits(amount), app_id=1, key=f"{name}.hold", budget_id=budget, lifetime_seconds=_DAY
            )
        )
        if placed is None:
            return
        assert placed.hold is not None
        if chance.random() < 0.4:
            part = Credits(chance.randint(1, amount))
            await self.ask(recipes.capture(placed.hold, part, app_id=1, key=f"{name}.part", final=False))
        if chance.random() < 0.3:
            await self.ask(recipes.release(placed.hold, app_id=1, key=f"{name}.end"))
        else:
            cost = Credits(chance.randint(0, amount))
            await self.ask(recipes.capture(placed.hold, cost, app_id=1, key=f"{name}.end"))


async def _work(part: Part) -> list[Caller]:
    db = await Database.connect(part.url)
    door = GroupCommit(db, lambda: datetime.now(UTC))
    callers = [Caller(door, part, number) for number in range(part.callers)]
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await asyncio.gather(*(caller.work() for caller in callers))
    await door.close()
    await db.close()
    return callers


def _main() -> None:
    part = Part(**json.loads(sys.stdin.readline()))
    callers = asyncio.run(_work(part))
    with Path(part.journal).open("w") as lines:
        lines.writelines(f"{told.line()}\n" for caller in callers for told in caller.told)
    print(sum(caller.asked_again for caller in callers), flush=True)


if __name__ == "__main__":
    _main()

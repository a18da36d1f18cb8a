"""``python -m bench.costs``: where the time of a spend goes, by how many share a call.

Processor time of PostgreSQL's backend and of this process, one connection and one call at a time, so that nobody waits
for anybody. It depends much less on what else the machine does than a rate.
"""

from __future__ import annotations

import argparse
import itertools
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop
from rich.console import Console

from bench import ground, machine, sheets, vitals
from bench.ways import ours
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.requests import Answer
from tallybook.domain.money import Credits
from tallybook.postgres import ledger
from tallybook.postgres.pool import Database, Line

SIZES = (1, 4, 16, 64, 256)
WALLETS = 4_000
_ONE = Credits.whole(1)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of calls with ``size`` spends each: how long one took, and processor time of a call, in milliseconds."""

    load: str
    size: int
    call_ms: float
    postgres_ms: float
    python_ms: float

    def row(self) -> list[str]:
        """As a table shows it: by call, and by spend in microseconds."""
        by_spend = [f"{1000 * cost / self.size:.1f}" for cost in (self.postgres_ms, self.python_ms)]
        return [f"{self.size}, {self.load}", f"{self.call_ms:.2f}", f"{self.postgres_ms:.2f}", *by_spend]


async def _measure(at: ground.Ground, seconds: float) -> list[Cost]:
    db = await Database.connect(at.service_url)
    try:
        users = ours.open_users(at.product_url, WALLETS)
        wallets = await ours.open_wallets(db, at.product_url, users)
        numbers = itertools.count(1)
        loads = {"uniform": wallets[:-1], "one hot wallet": wallets[-1:]}
        return [
            await _Course(at, db, numbers).cost(load, chosen, size, seconds)
            for size in SIZES
            for load, chosen in loads.items()
        ]
    finally:
        await db.close()


@dataclass(frozen=True, slots=True)
class _Course:
    at: ground.Ground
    db: Database
    numbers: itertools.count[int]

    async def cost(self, load: str, wallets: Sequence[int], size: int, seconds: float) -> Cost:
        """Call for so long, and see what it took."""
        line, pick, calls = self.db.line(), random.Random(size), 0
        try:
            # What a connection does once, planning above all, is not a spend's.
            await self._call(line, pick.choices(wallets, k=size))
            before, python, began = vitals.look(self.at.product_url), time.process_time(), time.perf_counter()
            while time.perf_counter() - began < seconds:
                await self._call(line, pick.choices(wallets, k=size))
                calls += 1
            took, python = time.perf_counter() - began, time.process_time() - python
            postgres_ms = (vitals.look(self.at.product_url) - before).cpu_ms
        finally:
            await line.close()
        return Cost(load, size, 1000 * took / calls, postgres_ms / calls, 1000 * python / calls)

    async def _call(self, line: Line, wallets: Sequence[int]) -> None:
        batch = [recipes.spend(one, _ONE, app_id=0, key=f"cost-{next(self.numbers)}") for one in wallets]
        async with line.statement() as tx:
            answers = await ledger.post(tx, ours.now(), batch, wait=False)
        assert all(isinstance(answer, Answer) for answer in answers), answers


def sheet(costs: Sequence[Cost]) -> sheets.Sheet:
    """The table."""
    columns = (
        "spends a call",
        "a call, ms",
        "PostgreSQL's time of it",
        "µs of PostgreSQL a spend",
        "µs of Python a spend",
    )
    return sheets.Sheet("Where the time of a spend goes", columns, [cost.row() for cost in costs])


def main() -> int:
    """Measure, print, and put the table into a document if asked."""
    parser = argparse.ArgumentParser(prog="python -m bench.costs", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each size is measured")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="put the table into this document")
    given, say = parser.parse_args(), Console(stderr=True)
    ground.end_when_told()
    with ground.prepared() as at:
        facts = machine.describe(at.superuser_url, at.folder)
        say.print("[dim]Measuring one call at a time …[/dim]")
        drawn = [machine.sheet(facts), sheet(uvloop.run(_measure(at, given.seconds)))]
    sheets.draw(drawn, sheets.console())
    if given.markdown is not None:
        sheets.put_into(given.markdown, "costs", sheets.markdown(drawn))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

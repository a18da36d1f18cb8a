"""``python -m bench.memory``: how much memory the service needs while a crowd waits for a stalled PostgreSQL.

Thousands of callers, each on a connection of its own, spend at once while nothing is posted. Some wait, the rest is
sent away with 503 and comes back as told; then PostgreSQL goes on and everybody must be served, once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx
import uvloop
from rich.console import Console

from bench import ground, machine, serving, sheets, stalls, through_http
from bench.crowd import Crowd, allow_connections
from bench.ways import ours
from tallybook.postgres.group_commit import WAITING_MAX

_USERS = 1_000
_WARMING = 64
_LOOK_SECONDS = 0.05
_POLL_SECONDS = 0.2
# Below the time that the service gives a statement.
_STALL_SECONDS = 25.0


@dataclass(slots=True, kw_only=True)
class Turn:
    """What one crowd saw; memory is the service's resident set, in MiB."""

    open_mib: float = 0
    peak_mib: float = 0
    after_mib: float = 0
    waiting: int = 0
    told: dict[str, int] = field(default_factory=dict)
    served: int = 0
    seconds: float = 0


def _resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has ended")


class _Watch:
    """The largest resident set of the service meanwhile, and how many postings it says are waiting."""

    def __init__(self, served: serving.Served) -> None:
        self._served = served
        self.peak_mib = 0.0
        self.waiting = 0

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        async def look() -> None:
            while True:
                self.peak_mib = max(self.peak_mib, _resident_mib(self._served.pid))
                await asyncio.sleep(_LOOK_SECONDS)

        running = asyncio.create_task(look())
        try:
            yield
        finally:
            running.cancel()

    async def ask(self) -> int:
        """How many wait now."""
        # A client of its own each time: the service may close an idle connection at any moment.
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.get(f"http://127.0.0.1:{self._served.port}/metrics")
        for line in answer.text.splitlines():
            if line.startswith("tallybook_postings_waiting "):
                now = int(float(line.split()[1]))
                self.waiting = max(self.waiting, now)
                return now
        raise RuntimeError("the service does not say how many wait")


class _Run:
    """A service, and crowds that come one after another."""

    def __init__(self, given: argparse.Namespace, at: ground.Ground, served: serving.Served) -> None:
        self._given = given
        self._at = at
        self._served = served
        self.turns: list[Turn] = []
        self.faults: list[str] = []

    async def run(self, api_key: str, users: list[int]) -> None:
        """Warm up, then all turns."""
        warming = Crowd(self._served.port, api_key, users)
        for number in range(10):
            await warming.open(_WARMING)
            await warming.spend(f"memory-warm-{number}")
            warming.close()
        self.faults += warming.faults
        for number in range(self._given.turns):
            crowd = Crowd(self._served.port, api_key, users)
            self.turns.append(await self._turn(crowd, _Watch(self._served), f"memory-{number}"))
            self.faults += crowd.faults

    async def _turn(self, crowd: Crowd, watch: _Watch, keys: str) -> Turn:
        turn = Turn()
        await crowd.open(self._given.callers)
        turn.open_mib = _resident_mib(self._served.pid)
        async with watch.looking():
            with stalls.STALLS[self._given.stall](self._at.product_url):
                spending = asyncio.create_task(crowd.spend(keys))
                began = time.monotonic()
                await self._until_full(crowd, watch, spending)
                turn.seconds = time.monotonic() - began
            await spending
        turn.after_mib = _resident_mib(self._served.pid)
        turn.peak_mib, turn.waiting = watch.peak_mib, watch.waiting
        turn.served, turn.told = crowd.served, dict(crowd.told)
        crowd.close()
        return turn

    async def _until_full(self, crowd: Crowd, watch: _Watch, spending: asyncio.Task[None]) -> None:
        """Until the queue is full and each who found no place in it was told so twice, or it takes too long."""
        beyond = max(0, self._given.callers - self._given.bound)
        expected = min(self._given.callers, self._given.bound)
        deadline = time.monotonic() + _STALL_SECONDS
        while time.monotonic() < deadline and not spending.done():
            if await watch.ask() >= expected and crowd.told["overloaded"] >= 2 * beyond:
                return
            await asyncio.sleep(_POLL_SECONDS)

    def judge(self) -> list[str]:
        """What went wrong."""
        given, found = self._given, list(self.faults)
        for number, turn in enumerate(self.turns, 1):
            each = (turn.peak_mib - turn.open_mib) * 1024 / given.callers
            if turn.served != given.callers:
                found.append(f"turn {number}: {turn.served} of {given.callers} callers were served")
            if each > given.kib_each:
                found.append(f"turn {number}: {each:.1f} KiB for each caller, more than {given.kib_each}")
            if given.stall == "posting":
                if turn.waiting != min(given.bound, given.callers):
                    found.append(f"turn {number}: {turn.waiting} waited, not {given.bound}")
                if given.callers > given.bound and not turn.told.get("overloaded"):
                    found.append(f"turn {number}: nobody was sent away")
        if self.turns[-1].peak_mib > 1.25 * self.turns[0].peak_mib:
            found.append("memory grew from turn to turn")
        sent = sum(turn.served for turn in self.turns)
        found += ours.missing(self._at.product_url, "memory-", sent + 10 * _WARMING)
        return found + ours.broken_promises(self._at.product_url)


def sheet(given: argparse.Namespace, turns: list[Turn]) -> sheets.Sheet:
    """The turns as a table."""
    rows = [
        [
            f"{number}",
            f"{turn.waiting:,}",
            ", ".join(f"{code} {count:,}" for code, count in turn.told.items()) or "–",
            f"{turn.served:,}",
            f"{turn.open_mib:.0f}",
            f"{turn.peak_mib:.0f}",
            f"{turn.after_mib:.0f}",
            f"{(turn.peak_mib - turn.open_mib) * 1024 / given.callers:.1f}",
            f"{turn.seconds:.0f}",
        ]
        for number, turn in enumerate(turns, 1)
    ]
    columns = (
        "turn",
        "waiting",
        "sent away, with Retry-After",
        "served",
        "MiB open",
        "peak",
        "after",
        "KiB each",
        "stalled, s",
    )
    title = f"Memory: {given.callers:,} callers, a queue of {given.bound:,}, stalled: {given.stall}"
    return sheets.Sheet(title, columns, rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.add_argument("--callers", type=int, default=12_000, help="each on a connection of its own")
    parser.add_argument("--bound", type=int, default=WAITING_MAX, help="how many may wait")
    parser.add_argument("--turns", type=int, default=3, help="how many crowds come, one after another")
    parser.add_argument("--stall", choices=stalls.STALLS, default="posting", help="what of PostgreSQL stops")
    parser.add_argument("--kib-each", type=float, default=64.0, help="how much memory a caller may cost")
    parser.add_argument("--json", action="store_true", help="for programs: one JSON document")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="put the table into this document")
    return parser.parse_args()


def main() -> int:
    """Run it; 1 when somebody was not served, memory was not bounded or the books do not tie."""
    given, say = _arguments(), Console(stderr=True)
    ground.end_when_told()
    allow_connections(given.callers)
    secret = secrets.token_hex(32)
    with ground.prepared() as at:
        facts = machine.describe(at.superuser_url, at.folder)
        users, api_key = asyncio.run(through_http.prepare(at, _USERS, secret))
        with serving.the_service(at, secret, waiting_max=given.bound) as served:
            say.print("[dim]Letting crowds wait …[/dim]")
            run = _Run(given, at, served)
            uvloop.run(run.run(api_key, users))
        faults = run.judge()
    drawn = [machine.sheet(facts), sheet(given, run.turns)]
    if given.json:
        print(json.dumps({"turns": [asdict(turn) for turn in run.turns], "failures": faults}, indent=2))
    else:
        sheets.draw(drawn, sheets.console())
        for fault in faults:
            print(f"✗ {fault}")
    if given.markdown is not None:
        sheets.put_into(given.markdown, "memory", sheets.markdown(drawn))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

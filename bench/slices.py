"""One slice: for a bounded time, callers that each send the next spend when the last is answered."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

NANOSECONDS = 1_000_000_000


@dataclass(slots=True)
class Slice:
    """What callers saw: how many spends were accepted and refused, and how long each answer took."""

    accepted: int = 0
    refused: int = 0
    elapsed_ns: int = 0
    latencies_ns: list[int] = field(default_factory=list)

    def add(self, began_ns: int, accepted: int, refused: int) -> None:
        """Write one answer down, at the moment it came."""
        self.latencies_ns.append(time.perf_counter_ns() - began_ns)
        self.accepted += accepted
        self.refused += refused

    @property
    def rate(self) -> float:
        """Accepted spends per second."""
        return self.accepted * NANOSECONDS / self.elapsed_ns


@dataclass(frozen=True, slots=True)
class Figures:
    """The slices of one way together: rates in accepted spends per second, latencies in milliseconds."""

    rate: float
    slowest: float
    fastest: float
    p50_ms: float
    p99_ms: float
    accepted: int
    refused: int


def figures(slices: Iterable[Slice]) -> Figures:
    """The median slice and the spread; latencies over all answers of all slices."""
    taken = list(slices)
    rates = [one.rate for one in taken]
    latencies = sorted(latency for one in taken for latency in one.latencies_ns)
    return Figures(
        rate=statistics.median(rates),
        slowest=min(rates),
        fastest=max(rates),
        p50_ms=percentile_ms(latencies, 50),
        p99_ms=percentile_ms(latencies, 99),
        accepted=sum(one.accepted for one in taken),
        refused=sum(one.refused for one in taken),
    )


def percentile_ms(ascending_ns: Sequence[int], percent: int) -> float:
    """The smallest latency that ``percent`` of all answers did not exceed, in milliseconds."""
    assert ascending_ns, "nothing was answered: the slice was too short"
    place = (len(ascending_ns) * percent + 99) // 100 - 1
    return ascending_ns[max(place, 0)] / 1_000_000


async def closed_loop(
    spend: Callable[[int], Awaitable[bool]], wallets: Sequence[int], *, callers: int, seconds: float
) -> Slice:
    """Let ``callers`` spend from wallets picked at random, one spend after another each."""
    taken = Slice()
    began = time.perf_counter_ns()
    deadline = began + int(seconds * NANOSECONDS)

    async def caller() -> None:
        pick = random.Random()
        while (now := time.perf_counter_ns()) < deadline:
            accepted = await spend(pick.choice(wallets))
            taken.add(now, accepted, not accepted)

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())
    taken.elapsed_ns = time.perf_counter_ns() - began
    return taken

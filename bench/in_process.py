"""Spends per second in the process: every way in turn, in several rounds, uniform and on one hot wallet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import asyncpg

from bench.ground import Ground
from bench.plan import Plan
from bench.slices import Figures, Slice, figures
from bench.ways import Tunable, Way, one_statement, ours, reads, row_lock, seeds
from bench.ways.lanes import Lanes
from tallybook.postgres.pool import Database

LOADS = ("uniform", "hot")
ALONE = "alone"
"""One caller, many wallets: how long a lonely spend takes."""
READS = "reads"
_ALL = (*LOADS, ALONE, READS)
_HOT = 4


@dataclass(slots=True)
class Course:
    """One way, the wallets of each load, and what was seen so far."""

    way: Way
    wallets: Mapping[str, Sequence[int]]
    tuned: Tunable | None = None
    connections: dict[str, int] = field(default_factory=dict)
    slices: dict[str, list[Slice]] = field(default_factory=lambda: {load: [] for load in _ALL})
    accepted: int = 0

    async def run(self, load: str, seconds: float) -> Slice:
        """One slice; every accepted spend counts for the check of the books."""
        if self.tuned is not None and load in self.connections:
            self.tuned.use(self.connections[load])
        taken = await self.way.measure(self.wallets[load], seconds)
        self.accepted += taken.accepted
        return taken


@dataclass(frozen=True, slots=True)
class Row:
    """The result of one way under one load."""

    way: str
    load: str
    callers: int
    remark: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class Result:
    """All rows, what is wrong with the books, and how many spends were acknowledged."""

    rows: list[Row]
    faults: list[str]
    acknowledged: int


async def measure(ground: Ground, plan: Plan, db: Database) -> Result:
    """Measure all ways; interleaved, so that a busy moment of the machine meets all of them."""
    async with AsyncExitStack() as stack:
        courses = await _courses(ground, plan, db, stack)
        for course in courses:
            await _tune(course, plan)
        for _ in range(plan.rounds):
            for load in _ALL:
                for course in courses:
                    if load in course.wallets:
                        course.slices[load].append(await course.run(load, plan.seconds))
        rows = [_row(course, load) for load in _ALL for course in courses if load in course.wallets]
        faults = [
            f"{course.way.name}: {fault}"
            for course in courses
            for fault in await course.way.faults(course.accepted)
        ]
    faults += [f"{row.way}, {row.load}: {row.figures.refused} refused" for row in rows if row.figures.refused]
    acknowledged = sum(course.accepted for course in courses if READS not in course.wallets)
    return Result(rows, faults, acknowledged)


async def _courses(ground: Ground, plan: Plan, db: Database, stack: AsyncExitStack) -> list[Course]:
    lanes = await stack.enter_async_context(Lanes.opened(ground.compared_url, max(plan.connections_tried)))
    users = ours.open_users(ground.product_url, plan.wallets + _HOT)
    opened = await ours.open_wallets(db, ground.product_url, users)
    return [
        *_simple(ground, plan, lanes, stack),
        *_product(ground, db, opened, stack),
        *await _readings(ground, db, opened[:-_HOT], stack),
    ]


def _simple(ground: Ground, plan: Plan, lanes: Lanes, stack: AsyncExitStack) -> list[Course]:
    """The ways that we are compared with, each with tables of its own."""
    wallets = list(range(1, plan.wallets + 2))
    both = {"uniform": wallets[:-1], "hot": wallets[-1:]}
    alone = {ALONE: wallets[:-1]}
    for table in ("seeds", "seeds_orm"):
        seeds.prepare(ground.compared_url, table, wallets)
    for table in ("row_lock", "one_statement", "row_lock_alone", "one_statement_alone"):
        row_lock.prepare(ground.compared_url, table, wallets)
    threads = seeds.SeedsThreadsWay(ground.compared_url, lanes, "seeds_orm")
    stack.callback(threads.close)
    tuned: list[Tunable] = [
        seeds.SeedsWay(lanes, "seeds"),
        row_lock.RowLockWay(lanes, "row_lock"),
        one_statement.OneStatementWay(lanes, "one_statement"),
    ]
    lonely: list[Way] = [
        row_lock.RowLockWay(lanes, "row_lock_alone", callers=1),
        one_statement.OneStatementWay(lanes, "one_statement_alone", callers=1),
    ]
    return [
        Course(threads, both),
        *(Course(way, both, way) for way in tuned),
        *(Course(way, alone) for way in lonely),
    ]


def _product(ground: Ground, db: Database, opened: Sequence[int], stack: AsyncExitStack) -> list[Course]:
    # A hot wallet each, so that none finds the history of another.
    many, hot = opened[:-_HOT], iter(opened[-_HOT:])
    grouped = [ours.GroupCommitWay(db, ground.product_url, callers) for callers in (64, 256)]
    lonely = ours.GroupCommitWay(db, ground.product_url, 1)
    for way in (*grouped, lonely):
        stack.push_async_callback(way.close)
    ways: list[Way] = [
        ours.OursWay(db, ground.product_url),
        *grouped,
        ours.OursBatchWay(db, ground.product_url),
    ]
    return [
        *(Course(way, {"uniform": many, "hot": [next(hot)]}) for way in ways),
        Course(lonely, {ALONE: many}),
    ]


async def _readings(
    ground: Ground, db: Database, wallets: Sequence[int], stack: AsyncExitStack
) -> list[Course]:
    lanes = await stack.enter_async_context(Lanes.opened(ground.service_url, reads.CONNECTIONS))
    pool = await stack.enter_async_context(
        asyncpg.create_pool(ground.service_url, min_size=1, max_size=reads.CONNECTIONS)
    )
    ways = (reads.PoolReading(pool), reads.DedicatedReading(lanes), reads.OurReading(db))
    return [Course(way, {READS: wallets}) for way in ways]


async def _tune(course: Course, plan: Plan) -> None:
    """Find the best number of connections for each load; the others just warm up."""
    for load in course.wallets:
        if course.tuned is None:
            await course.run(load, plan.tuning_seconds)
            continue
        rates: dict[int, float] = {}
        for connections in plan.connections_tried:
            course.tuned.use(connections)
            rates[connections] = (await course.run(load, plan.tuning_seconds)).rate
        course.connections[load] = max(rates, key=lambda tried: rates[tried])


def _row(course: Course, load: str) -> Row:
    if course.tuned is not None:
        course.tuned.use(course.connections[load])
    return Row(
        way=course.way.name,
        load=load,
        callers=course.way.callers,
        remark=course.way.remark,
        figures=figures(course.slices[load]),
    )

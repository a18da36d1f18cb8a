"""Spends per second in the process: every way in turn, in several rounds, uniform and on one hot wallet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from bench.ground import Ground
from bench.plan import Plan
from bench.slices import Figures, Slice, figures
from bench.ways import Tunable, Way, ours, row_lock, seeds
from bench.ways.lanes import Lanes
from tallybook.postgres.pool import Database

LOADS = ("uniform", "hot")


@dataclass(slots=True)
class Course:
    """One way, the wallets of each load, and what was seen so far."""

    way: Way
    wallets: Mapping[str, Sequence[int]]
    tuned: Tunable | None = None
    connections: dict[str, int] = field(default_factory=dict)
    slices: dict[str, list[Slice]] = field(default_factory=lambda: {load: [] for load in LOADS})
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
    """All rows, what is wrong with the books, and how many spends each way had acknowledged."""

    rows: list[Row]
    faults: list[str]
    acknowledged: dict[str, int]


async def measure(ground: Ground, plan: Plan, db: Database) -> Result:
    """Measure all ways; interleaved, so that a busy moment of the machine meets all of them."""
    async with AsyncExitStack() as stack:
        courses = await _courses(ground, plan, db, stack)
        for course in courses:
            await _tune(course, plan)
        for _ in range(plan.rounds):
            for load in LOADS:
                for course in courses:
                    course.slices[load].append(await course.run(load, plan.seconds))
        rows = [_row(course, load) for load in LOADS for course in courses]
        faults = [
            f"{course.way.name}: {fault}"
            for course in courses
            for fault in await course.way.faults(course.accepted)
        ]
    faults += [f"{row.way}, {row.load}: {row.figures.refused} refused" for row in rows if row.figures.refused]
    return Result(rows, faults, {course.way.name: course.accepted for course in courses})


async def _courses(ground: Ground, plan: Plan, db: Database, stack: AsyncExitStack) -> list[Course]:
    wallets = list(range(1, plan.wallets + 2))
    simple = {"uniform": wallets[:-1], "hot": wallets[-1:]}
    users = ours.open_users(ground.product_url, plan.wallets + 4)
    opened = await ours.open_wallets(db, ground.product_url, users)
    lanes = await stack.enter_async_context(Lanes.opened(ground.compared_url, max(plan.connections_tried)))
    for table, module in (("seeds", seeds), ("seeds_orm", seeds), ("row_lock", row_lock)):
        module.prepare(ground.compared_url, table, wallets)
    threads = seeds.SeedsThreadsWay(ground.compared_url, lanes, "seeds_orm")
    stack.callback(threads.close)
    straight = seeds.SeedsWay(lanes, "seeds")
    locked = row_lock.RowLockWay(lanes, "row_lock")
    grouped = [ours.GroupCommitWay(db, ground.product_url, callers) for callers in (64, 256)]
    for way in grouped:
        stack.push_async_callback(way.close)
    # A hot wallet each, so that none finds the history of another.
    return [
        Course(threads, simple),
        Course(straight, simple, straight),
        Course(locked, simple, locked),
        Course(ours.OursWay(db, ground.product_url), {"uniform": opened[:-4], "hot": opened[-1:]}),
        *(
            Course(way, {"uniform": opened[:-4], "hot": opened[place : place + 1]})
            for place, way in zip((-3, -4), grouped, strict=True)
        ),
        Course(
            ours.OursBatchWay(db, ground.product_url),
            {"uniform": opened[:-4], "hot": opened[-2:-1]},
        ),
    ]


async def _tune(course: Course, plan: Plan) -> None:
    """Find the best number of connections for each load; the others just warm up."""
    for load in LOADS:
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

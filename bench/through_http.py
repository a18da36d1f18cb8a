"""Requests per second through HTTP: server processes, a load process, and kinds of request in turn."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench import batches, serving
from bench.ground import Ground
from bench.http_load import Order, Seen
from bench.http_server import FRAMEWORKS_NO_OP, NO_OP
from bench.plan import Plan
from bench.simple_server import NO_OP as SIMPLE_NO_OP
from bench.simple_server import ROW_LOCK, ROW_LOCK_TABLE, SEEDS, SEEDS_TABLE
from bench.slices import Figures, Slice, figures
from bench.ways import FUNDED, ours, row_lock, seeds
from bench.ways.lanes import Lanes
from tallybook import app
from tallybook.domain.identity.callers import Caller
from tallybook.postgres.pool import Database
from tallybook.settings import load as load_settings
from tallybook.usecases import apps

FEW, MANY = 64, 256
"""How many connections, with one request on the way on each."""
SPEND = '{"user_id": {target}, "type": "spend", "amount_micro": 1000000}'
_BALANCE = "/v1/wallets?user_id={target}"
_POST = "/v1/transfers"


@dataclass(slots=True, kw_only=True)
class Kind:
    """A kind of request to one of the servers; ``simple`` is the one of the ways compared with."""

    name: str
    path: str
    targets: Sequence[str]
    load: str = "uniform"
    connections: int = FEW
    body: str | None = SPEND
    simple: bool = False
    slices: list[Slice] = field(default_factory=list)

    @property
    def table(self) -> str | None:
        """Where its spends must be found."""
        if self.path.startswith(ROW_LOCK):
            return ROW_LOCK_TABLE
        return {SEEDS: SEEDS_TABLE, _POST: "transfers"}.get(self.path)


@dataclass(frozen=True, slots=True)
class HttpRow:
    """The result of one kind of request; ``table`` has its spends, if it is one."""

    request: str
    load: str
    connections: int
    table: str | None
    figures: Figures


@dataclass(frozen=True, slots=True)
class Result:
    """The rows, batches against COPY, what else there is to know, and what went wrong."""

    rows: list[HttpRow]
    batches: batches.Result
    row_lock_connections: dict[str, int]
    faults: list[str]


class _Run:
    """Two servers, an API key, and orders that never send the same key twice."""

    def __init__(self, ports: tuple[int, int], api_key: str) -> None:
        self._ports = ports
        self._headers = {"Authorization": f"Bearer {api_key}", "Idempotency-Key": "http-{serial}"}
        self._turns = itertools.count()
        self.faults: list[str] = []

    def send(self, kinds: Sequence[Kind], seconds: float) -> list[Slice]:
        """A slice of each kind, one after another."""
        orders = [self._order(kind, seconds) for kind in kinds]
        return [self._slice(kind, answers) for kind, answers in zip(kinds, serving.load(orders), strict=True)]

    def _order(self, kind: Kind, seconds: float) -> Order:
        return Order(
            port=self._ports[kind.simple],
            connections=kind.connections,
            seconds=seconds,
            method="GET" if kind.body is None else "POST",
            path=kind.path,
            headers=self._headers,
            body=kind.body,
            targets=list(kind.targets),
            serial=str(next(self._turns)),
        )

    def _slice(self, kind: Kind, seen: Seen) -> Slice:
        taken, odd = slice_of(seen)
        self.faults += [f"{kind.name}: {odd}"] if odd else []
        return taken


def measure(ground: Ground, plan: Plan, secret: str) -> Result:
    """Run all slices; every answer must be a success and every spend a transfer, or a row of its table."""
    users, api_key = asyncio.run(prepare(ground, plan.wallets + 1, secret))
    simple = [str(number) for number in range(1, plan.wallets + 2)]
    seeds.prepare(ground.compared_url, SEEDS_TABLE, range(1, plan.wallets + 2))
    row_lock.prepare(ground.compared_url, ROW_LOCK_TABLE, range(1, plan.wallets + 2))
    with (
        serving.the_service(ground, secret) as service,
        serving.simple_ways(ground, plan.connections_tried) as compared,
    ):
        run = _Run((service.port, compared.port), api_key)
        tried, best = _tuned(run, plan, simple)
        kinds = _kinds([str(user) for user in users], simple, best)
        # The first turn only warms up.
        warm = run.send(kinds, plan.tuning_seconds)
        for _ in range(plan.rounds):
            for kind, taken in zip(kinds, run.send(kinds, plan.seconds), strict=True):
                kind.slices.append(taken)
        batched = batches.measure(ground, plan, service.port, api_key, users[:-1])
    accepted = _accepted([*tried, *kinds], warm, kinds)
    faults = [*run.faults, *batched.faults, *asyncio.run(_lost(ground, accepted))]
    rows = [
        HttpRow(kind.name, kind.load, kind.connections, kind.table, figures(kind.slices)) for kind in kinds
    ]
    return Result(rows, batched, best, faults)


def _tuned(run: _Run, plan: Plan, targets: Sequence[str]) -> tuple[list[Kind], dict[str, int]]:
    """The best number of connections of the row lock for each load, and what was sent to find it."""
    tried = [
        Kind(name="row lock", path=f"{ROW_LOCK}/{count}", targets=chosen, load=load, simple=True)
        for load, chosen in (("uniform", targets[:-1]), ("hot", targets[-1:]))
        for count in plan.connections_tried
    ]
    for kind, taken in zip(tried, run.send(tried, plan.tuning_seconds), strict=True):
        kind.slices.append(taken)
    best = {
        load: int(
            max(
                (kind for kind in tried if kind.load == load), key=lambda kind: kind.slices[0].rate
            ).path.rpartition("/")[2]
        )
        for load in ("uniform", "hot")
    }
    return tried, best


def _kinds(users: Sequence[str], simple: Sequence[str], best: dict[str, int]) -> list[Kind]:
    kinds = []
    for connections in (FEW, MANY):
        kinds += [
            Kind(name="no-op", path=NO_OP, targets=users[:-1], connections=connections),
            Kind(
                name="no-op in the framework",
                path=FRAMEWORKS_NO_OP,
                targets=users[:-1],
                connections=connections,
            ),
            Kind(
                name="FastAPI, no-op", path=SIMPLE_NO_OP, targets=simple, connections=connections, simple=True
            ),
            Kind(name="balance", path=_BALANCE, targets=users[:-1], connections=connections, body=None),
        ]
        for load, targets, others in (
            ("uniform", users[:-1], simple[:-1]),
            ("hot", users[-1:], simple[-1:]),
        ):
            path = f"{ROW_LOCK}/{best[load]}"
            kinds += [
                Kind(name="spend", path=_POST, targets=targets, load=load, connections=connections),
                Kind(
                    name="FastAPI, row lock",
                    path=path,
                    targets=others,
                    load=load,
                    connections=connections,
                    simple=True,
                ),
            ]
            if connections == FEW:
                kinds.append(
                    Kind(name="FastAPI, the seeds' way", path=SEEDS, targets=others, load=load, simple=True)
                )
    return kinds


async def prepare(ground: Ground, count: int, secret: str) -> tuple[list[int], str]:
    """Users with funded wallets, and the key of an app that may spend for them."""
    users = ours.open_users(ground.product_url, count)
    db = await Database.connect(ground.service_url)
    try:
        await ours.open_wallets(db, ground.product_url, users, FUNDED)
    finally:
        await db.close()
    settings = load_settings(
        _env_file=None, database_url=ground.service_url, secret_key=secret, stripe_secret_key=None
    )
    installation = app.Installation(
        service_url=ground.service_url, owner_url=ground.owner_url, secret=secret, embedded=None
    )
    async with app.open_context(settings, installation) as ctx:
        registered = await apps.register(ctx, Caller(is_admin=True), name="bench")
    return users, registered.issued.secret


def slice_of(seen: Seen) -> tuple[Slice, str]:
    """What was seen as a slice, and what was odd about it."""
    answers = len(seen.latencies_ns)
    good = sum(count for status, count in seen.statuses.items() if status.startswith("2"))
    taken = Slice(good, answers - good, seen.elapsed_ns, seen.latencies_ns)
    return taken, f"{seen.statuses} {seen.odd}" if good < answers else ""


def _accepted(all_kinds: Sequence[Kind], warm: Sequence[Slice], warmed: Sequence[Kind]) -> dict[str, int]:
    """How many spends were acknowledged, by the table that must have them."""
    accepted = dict.fromkeys((SEEDS_TABLE, ROW_LOCK_TABLE, "transfers"), 0)
    taken = [(kind, one) for kind in all_kinds for one in kind.slices]
    for kind, one in [*taken, *zip(warmed, warm, strict=True)]:
        if kind.table is not None:
            accepted[kind.table] += one.accepted
    return accepted


async def _lost(ground: Ground, accepted: dict[str, int]) -> list[str]:
    """Every spend that was answered with 201 must be there, once."""
    async with Lanes.opened(ground.compared_url, 1) as lanes:
        found = [
            *await row_lock.RowLockWay(lanes, ROW_LOCK_TABLE).faults(accepted[ROW_LOCK_TABLE]),
            *await seeds.SeedsWay(lanes, SEEDS_TABLE).faults(accepted[SEEDS_TABLE]),
        ]
    found += ours.missing(ground.product_url, "http-", accepted["transfers"])
    return [f"HTTP: {fault}" for fault in found]

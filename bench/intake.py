"""Stripe's events: how fast the service takes them in, and whether the worker beside it keeps up."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import psycopg

from bench import payments, serving
from bench.event_load import Order
from bench.ground import Ground
from bench.payments import Payment, Shop
from bench.plan import Plan
from bench.simple_server import WEBHOOK as SIMPLE_WEBHOOK
from bench.simple_server import WEBHOOK_TABLE
from bench.slices import Figures, Slice, figures, percentile_ms
from bench.through_http import slice_of

RATE = 500
"""How many events come in a second, by the clock."""
PAYMENTS_A_SECOND = 20
"""How many payments are among them while the worker is watched."""
LATE_MS = 10
CONNECTIONS = 64
SIMPLE, OURS = "FastAPI, construct_event, one INSERT", "Tallybook"
BY_THE_CLOCK, AT_FULL_SPEED, KNOWN_AGAIN = f"{RATE} a second", "as many as go", "known ones again"
_WEBHOOK = "/api/stripe/webhook"
_KNOWN = 500
_FOREIGN_EACH = 3
_PATIENCE_SECONDS = 120


@dataclass(slots=True, kw_only=True)
class _Kind:
    """A load on one of the two servers."""

    way: str
    load: str
    slices: list[Slice] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class IntakeRow:
    """How one load was answered; ``late`` is the share of answers that took longer than 10 ms."""

    way: str
    load: str
    figures: Figures
    late: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """How events with work in them were settled: how many a second, how long after they had come, what was left.

    ``left_halfway`` and ``left`` are those that had come and were not settled when half of them had, and all;
    ``oldest_ms`` is how long the oldest of the latter had waited.
    """

    load: str
    events: int
    rate: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    left_halfway: int | None = None
    left: int | None = None
    oldest_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """The rows, and what went wrong."""

    rows: list[IntakeRow]
    worker: list[WorkerRow]
    faults: list[str]


def measure(ground: Ground, plan: Plan, secret: str) -> Result:
    """Deliver events to the service and to the other way in turn, then payments among them, then backlogs."""
    signing_secret = f"whsec_{secrets.token_hex(16)}"
    steady_seconds = 10 * plan.seconds
    with serving.stripes_stand_in(ground) as stripe_url:
        stripe = payments.settings_for(stripe_url, signing_secret)
        with (
            serving.the_service(ground, secret, stripe=stripe) as service,
            serving.simple_webhook(ground, signing_secret) as compared,
        ):
            shop = Shop(ground, secret, service.port, stripe)
            steady = shop.sell(int(PAYMENTS_A_SECOND * steady_seconds))
            waiting = shop.sell(plan.payments_waiting)
            run = _Run(ground, (service.port, compared.port), signing_secret, steady[0])
            with serving.the_worker(ground, secret, stripe):
                rows = run.in_turn(plan)
                beside, kept_up = run.beside_payments(steady, steady_seconds)
            backlogs = []
            for load, given in run.backlogs(waiting).items():
                run.deliver_backlog(given)
                with serving.the_worker(ground, secret, stripe):
                    backlogs.append(run.drained(load, given))
    faults = [*run.faults, *run.lost(), *run.ungranted([*steady, *waiting])]
    return Result([*rows, beside], [kept_up, *backlogs], faults)


class _Run:
    """Two servers, what was delivered to them, and what went wrong."""

    def __init__(self, ground: Ground, ports: tuple[int, int], signing_secret: str, sample: Payment) -> None:
        self._ground = ground
        self._ports = dict(zip((OURS, SIMPLE), ports, strict=True))
        self._secret = signing_secret
        self._serials = itertools.count()
        self._accepted = {OURS: 0, SIMPLE: 0, KNOWN_AGAIN: 0}
        [recorded] = [event for event in sample.events if event["type"] == payments.RECORDED]
        [completed] = [event for event in sample.events if event["type"] == "checkout.session.completed"]
        self._template = payments.template(recorded)
        self._foreign = payments.template(completed, id="cs_test_of_somebody_else")
        self.faults: list[str] = []

    def in_turn(self, plan: Plan) -> list[IntakeRow]:
        """Each load in turn, again and again; the first turn only warms up."""
        known = [self._template.replace("{event}", f"evt_known_{number}") for number in range(_KNOWN)]
        self._send(_Kind(way=OURS, load=KNOWN_AGAIN), self._order(OURS, given=tuple(known), template=""))
        kinds = [
            _Kind(way=SIMPLE, load=BY_THE_CLOCK),
            _Kind(way=OURS, load=BY_THE_CLOCK),
            _Kind(way=SIMPLE, load=AT_FULL_SPEED),
            _Kind(way=OURS, load=AT_FULL_SPEED),
            _Kind(way=OURS, load=KNOWN_AGAIN),
        ]
        for turn in range(plan.rounds + 1):
            for kind in kinds:
                seconds = plan.seconds * (2 if kind.load == BY_THE_CLOCK else 1)
                order = self._order(
                    kind.way,
                    name="known" if kind.load == KNOWN_AGAIN else None,
                    known=_KNOWN if kind.load == KNOWN_AGAIN else None,
                    rate=RATE if kind.load == BY_THE_CLOCK else None,
                    seconds=seconds if turn else plan.tuning_seconds,
                )
                taken = self._send(kind, order)
                if turn:
                    kind.slices.append(taken)
        return [_row(kind) for kind in kinds]

    def beside_payments(self, steady: Sequence[Payment], seconds: float) -> tuple[IntakeRow, WorkerRow]:
        """Events by the clock, payments among them, and the worker that settles those."""
        load = f"{BY_THE_CLOCK}, {PAYMENTS_A_SECOND} payments among them"
        kind = _Kind(way=OURS, load=load)
        given = tuple(payments.body(event) for payment in steady for event in payment.events)
        kind.slices.append(self._send(kind, self._order(OURS, given=given, rate=RATE, seconds=seconds)))
        ids = [event["id"] for payment in steady for event in payment.to_work_on]
        times = self._settled(ids)
        came, settled = (sorted(column) for column in zip(*times, strict=True))
        halfway, end = came[len(came) // 2], came[-1]
        left = [since for since, until in times if since <= end < until]
        kept_up = WorkerRow(
            load=f"{PAYMENTS_A_SECOND} payments a second as they come",
            events=len(times),
            rate=(len(times) - 1) / (settled[-1] - settled[0]),
            p50_ms=_wait_ms(times, 50),
            p99_ms=_wait_ms(times, 99),
            left_halfway=sum(since <= halfway < until for since, until in times),
            left=len(left),
            oldest_ms=1000 * (end - min(left)) if left else 0.0,
        )
        return _row(kind), kept_up

    def backlogs(self, waiting: Sequence[Payment]) -> dict[str, dict[str, str]]:
        """What is to be worked off at full speed: bodies by the events' ids."""
        own = {event["id"]: payments.body(event) for one in waiting for event in one.to_work_on}
        serial = next(self._serials)
        others = {
            event_id: self._foreign.replace("{event}", event_id)
            for event_id in (
                f"evt_foreign{serial}_{number}" for number in range(_FOREIGN_EACH * len(waiting))
            )
        }
        return {
            f"{len(waiting)} payments that waited": own,
            f"{len(others)} sessions of somebody else that waited": others,
        }

    def deliver_backlog(self, given: dict[str, str]) -> None:
        """Have them stored while nobody works on them."""
        self._send(
            _Kind(way=OURS, load="backlog"), self._order(OURS, template="", given=tuple(given.values()))
        )

    def drained(self, load: str, given: dict[str, str]) -> WorkerRow:
        """Wait until they are settled; gives how fast that went."""
        times = self._settled(list(given))
        settled = sorted(until for _, until in times)
        rate = (len(times) - 1) / (settled[-1] - settled[0])
        return WorkerRow(load=load, events=len(times), rate=rate)

    def lost(self) -> list[str]:
        """Every event that was answered with 2xx must be stored, once."""
        counted = (
            "SELECT count(*), coalesce(sum(deliveries), 0) FROM tallybook.stripe_events"
            " WHERE starts_with(event_id, %s)"
        )
        found = []
        with psycopg.connect(self._ground.product_url) as connection:
            new = connection.execute(counted, ["evt_bench"]).fetchone()
            known = connection.execute(counted, ["evt_known"]).fetchone()
        with psycopg.connect(self._ground.compared_url) as connection:
            simple = connection.execute(f"SELECT count(*) FROM {WEBHOOK_TABLE}").fetchone()
        for name, stored, wanted in (
            ("new events", new, (self._accepted[OURS], self._accepted[OURS])),
            ("known events", known, (_KNOWN, self._accepted[KNOWN_AGAIN])),
            (SIMPLE, simple, (self._accepted[SIMPLE],)),
        ):
            found += [] if stored == wanted else [f"Intake, {name}: {wanted} acknowledged, {stored} stored"]
        return found

    def ungranted(self, sold: Sequence[Payment]) -> list[str]:
        """Every payment whose events were delivered must have brought its lot, once."""
        with psycopg.connect(self._ground.product_url) as connection:
            row = connection.execute(
                "SELECT count(*), count(DISTINCT p.reference) FROM tallybook.payments AS p"
                " INNER JOIN tallybook.payment_lots USING (payment_id) WHERE p.reference = ANY(%s)",
                [[payment.session for payment in sold]],
            ).fetchone()
        return [] if row == (len(sold), len(sold)) else [f"Worker: {len(sold)} payments, {row} granted"]

    def _order(
        self,
        way: str,
        *,
        name: str | None = None,
        template: str | None = None,
        given: tuple[str, ...] = (),
        known: int | None = None,
        rate: float | None = None,
        seconds: float = 0,
    ) -> Order:
        return Order(
            port=self._ports[way],
            path=_WEBHOOK if way == OURS else SIMPLE_WEBHOOK,
            secret=self._secret,
            connections=CONNECTIONS,
            name=name or f"bench{next(self._serials)}",
            template=self._template if template is None else template,
            given=given,
            known=known,
            rate=rate,
            seconds=seconds,
        )

    def _send(self, kind: _Kind, order: Order) -> Slice:
        """Deliver; what is not one of the sandbox's events is counted, so that it can be looked for."""
        [seen] = serving.deliver([order])
        taken, odd = slice_of(seen)
        self.faults += [f"{kind.way}, {kind.load}: {odd}"] if odd else []
        if kind.load == KNOWN_AGAIN:
            self._accepted[KNOWN_AGAIN] += taken.accepted
        else:
            self._accepted[kind.way] += taken.accepted - len(order.given)
        return taken

    def _settled(self, event_ids: Sequence[str]) -> list[tuple[float, float]]:
        """When each of some events came and when it was settled, once all are."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        with psycopg.connect(self._ground.product_url, autocommit=True) as connection:
            while True:
                rows = connection.execute(
                    "SELECT extract(epoch FROM received_at)::float, extract(epoch FROM settled_at)::float"
                    " FROM tallybook.stripe_events WHERE event_id = ANY(%s) AND status IN ('done', 'ignored')",
                    [list(event_ids)],
                ).fetchall()
                if len(rows) == len(event_ids):
                    return [(since, until) for since, until in rows]
                if time.monotonic() > deadline:
                    raise RuntimeError(
                        f"{len(event_ids) - len(rows)} of {len(event_ids)} events were never settled"
                    )
                time.sleep(0.2)


def _row(kind: _Kind) -> IntakeRow:
    latencies = [latency for one in kind.slices for latency in one.latencies_ns]
    late = sum(latency > LATE_MS * 1_000_000 for latency in latencies) / len(latencies)
    return IntakeRow(kind.way, kind.load, figures(kind.slices), late)


def _wait_ms(times: Sequence[tuple[float, float]], percent: int) -> float:
    return percentile_ms(sorted(int(1e9 * (until - since)) for since, until in times), percent)

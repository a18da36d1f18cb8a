"""What Prometheus reads at ``/metrics``: requests by route and status, how long they took, and how group commit fares.

A request costs two additions here; the library only draws what was counted. Admins signed in to the house may look, and
whoever has the machine: a request from this machine itself that no proxy passed on (docs/metrics.md).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from tallybook.api.deps import AnyCaller, Ctx
from tallybook.domain.errors import AuthenticationRequiredError
from tallybook.domain.identity.callers import Caller
from tallybook.domain.payments.sightings import drifted
from tallybook.usecases import watching

router = APIRouter(tags=["health"])
BOUNDS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_LOOPBACK = frozenset({"127.0.0.1", "::1"})
_PASSED_ON = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
_PROCESS = CollectorRegistry()
ProcessCollector(registry=_PROCESS)


class Requests:
    """Counts the requests of one app; made with it, read when somebody looks."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._counts: Counter[tuple[str, str, int]] = Counter()
        self._times: dict[str, list[int]] = {}
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        # Whoever calls may invent methods; what is counted must stay finite.
        known = method if method in _METHODS else "other"
        self._counts[known, route, status] += 1
        times = self._times.get(route)
        if times is None:
            times = self._times[route] = [0] * (len(BOUNDS_SECONDS) + 1)
        times[bisect_left(BOUNDS_SECONDS, seconds)] += 1
        self._seconds[route] += seconds

    def collect(self) -> Iterator[Any]:
        """As Prometheus has it."""
        counter = CounterMetricFamily(
            "tallybook_requests", "Requests answered.", labels=("method", "route", "status")
        )
        for (method, route, status), count in sorted(self._counts.items()):
            counter.add_metric((method, route, str(status)), count)
        yield counter
        times = HistogramMetricFamily(
            "tallybook_request_seconds", "How long the answers took.", labels=("route",)
        )
        for route, counts in sorted(self._times.items()):
            times.add_metric((route,), _buckets(BOUNDS_SECONDS, counts), self._seconds[route])
        yield times


class _Found:
    """A collector of what was found before."""

    def __init__(self, collect: Callable[[], Iterator[Any]]) -> None:
        self.collect = collect


@router.get("/metrics", include_in_schema=False)
async def metrics(ctx: Ctx, found: AnyCaller, request: Request) -> Response:
    """Everything that is counted, in Prometheus's text format."""
    caller = found or _on_the_machine(request)
    if caller is None:
        raise AuthenticationRequiredError
    watched = await watching.look(ctx, caller)
    registry = CollectorRegistry()
    registry.register(request.app.state.requests)
    registry.register(_Found(lambda: _of_group_commit(watched)))
    if watched.intake is not None:
        found_there = watched.intake
        registry.register(_Found(lambda: _of_intake(found_there)))
    return Response(
        generate_latest(registry) + generate_latest(_PROCESS), headers={"Content-Type": CONTENT_TYPE_LATEST}
    )


def _on_the_machine(request: Request) -> Caller | None:
    """Whoever has the machine has the house, but not whom a proxy on it speaks for."""
    if any(name in request.headers for name in _PASSED_ON):
        return None
    return Caller(is_admin=True) if request.client and request.client.host in _LOOPBACK else None


def _of_group_commit(watched: watching.Watched) -> Iterator[Any]:
    figures = watched.group_commit
    yield GaugeMetricFamily(
        "tallybook_postings_waiting", "Postings that are not answered yet.", figures.waiting
    )
    yield CounterMetricFamily(
        "tallybook_postings_shed", "Postings sent away because too many waited.", figures.shed
    )
    sizes = HistogramMetricFamily("tallybook_batch_size", "How many postings shared a commit.", labels=())
    bounds = tuple(float(2**power) for power in range(len(figures.batches)))
    sizes.add_metric((), _buckets(bounds, (*figures.batches, 0)), figures.posted)
    yield sizes
    yield GaugeMetricFamily(
        "tallybook_callers_remembered",
        "1 while changes of callers are heard and so remembered.",
        int(watched.remembers),
    )


def _of_intake(intake: watching.Intake) -> Iterator[Any]:
    inbox = intake.inbox
    depth = GaugeMetricFamily("tallybook_inbox_events", "Stripe's events that wait.", labels=("status",))
    for status, count in (
        ("received", inbox.received),
        ("retry", inbox.retrying),
        ("processing", inbox.processing),
    ):
        depth.add_metric((status,), count)
    yield depth
    yield GaugeMetricFamily(
        "tallybook_inbox_dead", "Events that failed for good and nobody gave up yet.", inbox.dead
    )
    yield GaugeMetricFamily(
        "tallybook_inbox_oldest_seconds",
        "How long the oldest waiting event has waited.",
        inbox.oldest_seconds,
    )
    yield GaugeMetricFamily(
        "tallybook_inbox_lag_seconds", "For how long the next event has been due.", inbox.lag_seconds
    )
    versions = GaugeMetricFamily(
        "tallybook_stripe_version_seen_seconds",
        "When events of a Stripe version last came in, as a Unix time.",
        labels=("version", "tested"),
    )
    for version in sorted({one.api_version for one in intake.sightings}):
        last = max(one.last_seen_at for one in intake.sightings if one.api_version == version)
        tested = "no" if drifted(version or None) else "yes"
        versions.add_metric((version or "none", tested), last.timestamp())
    yield versions


def _buckets(bounds: tuple[float, ...], counts: list[int] | tuple[int, ...]) -> list[tuple[str, int]]:
    """Counts below each bound, as Prometheus adds them up."""
    names = [*(str(bound) for bound in bounds), "+Inf"]
    return [(name, sum(counts[: place + 1])) for place, name in enumerate(names)]

"""Metered work: what is held, captured and released, and what is said when the service is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sdk.scripted_service import PLACED, SETTLED, Received, Step, problem, scripted

from credit_sdk import AsyncClient, Client, HoldUnsettledError, InsufficientCreditsError, Job, RetryLimits
from credit_sdk.errors import HoldSettledError

ONCE = RetryLimits(attempts=1)
HELD = Step(body=PLACED)
DONE = Step(status=200, body=SETTLED)
Work = Callable[[Job], None]
Meter = Callable[..., Awaitable[Job]]


async def meter_blocking(base_url: str, work: Work, **terms: Any) -> Job:
    with Client(base_url, api_key="a-key", retries=ONCE) as client, client.metered(7, 20, **terms) as job:
        work(job)
    return job


async def meter_awaited(base_url: str, work: Work, **terms: Any) -> Job:
    async with (
        AsyncClient(base_url, api_key="a-key", retries=ONCE) as client,
        client.metered(7, 20, **terms) as job,
    ):
        work(job)
    return job


both = pytest.mark.parametrize("meter", [meter_blocking, meter_awaited])


def use(*credits: int | str) -> Work:
    def work(job: Job) -> None:
        for amount in credits:
            job.used(amount)

    return work


def fail(job: Job) -> None:
    job.used(5)
    raise LookupError("the model is gone")


def told(received: Received) -> tuple[str, Any]:
    return (received.path, received.body)


@both
async def test_the_estimate_is_held_and_what_was_used_is_captured(meter: Meter) -> None:
    with scripted(HELD, DONE) as service:
        job = await meter(service.base_url, use(10, "2.5"), description="A chat")

    placed, captured = service.received
    assert told(placed) == (
        "/v1/holds",
        {"user_id": 7, "amount_micro": 20_000_000, "lifetime_seconds": 900, "on_expiry": "release"}
        | {"description": "A chat"},
    )
    assert told(captured) == ("/v1/holds/hld_12_3/capture", {"amount_micro": 12_500_000, "final": True})
    assert job.settled is not None
    assert job.settled.captured_micro == 12_500_000


@both
async def test_never_more_than_was_held_is_captured(meter: Meter) -> None:
    with scripted(HELD, DONE) as service:
        job = await meter(service.base_url, use(15, "5.000001"))

    assert service.received[1].body["amount_micro"] == 20_000_000
    assert (job.recorded_micro, job.uncovered_micro) == (20_000_001, 1)


@both
async def test_unused_work_releases_the_hold(meter: Meter) -> None:
    with scripted(HELD, DONE) as service:
        await meter(service.base_url, use())

    assert told(service.received[1]) == ("/v1/holds/hld_12_3/release", {})


@both
async def test_failed_work_costs_nothing(meter: Meter) -> None:
    with scripted(HELD, DONE) as service, pytest.raises(LookupError):
        await meter(service.base_url, fail)

    assert service.received[1].path == "/v1/holds/hld_12_3/release"


@both
async def test_failed_work_is_charged_only_when_that_was_asked_for(meter: Meter) -> None:
    with scripted(HELD, DONE) as service, pytest.raises(LookupError):
        await meter(service.base_url, fail, charge_on_failure=True)

    assert service.received[1].path == "/v1/holds/hld_12_3/capture"
    assert service.received[1].body["amount_micro"] == 5_000_000


@both
async def test_work_does_not_begin_without_enough_credits(meter: Meter) -> None:
    begun: list[Job] = []

    with scripted(problem(402, "insufficient_credits")) as service, pytest.raises(InsufficientCreditsError):
        await meter(service.base_url, begun.append)

    assert begun == []
    assert len(service.received) == 1


@both
@pytest.mark.parametrize("away", [Step(cut_off=True), Step(status=503), Step(status=500)])
async def test_a_service_that_is_away_at_the_end_leaves_a_hold_that_expires(meter: Meter, away: Step) -> None:
    with scripted(HELD, away) as service, pytest.raises(HoldUnsettledError) as caught:
        await meter(service.base_url, use(5), lifetime_seconds=60)

    assert "expires 60 seconds after 2026-11-21T12:00:00Z and is then released" in caught.value.message
    assert caught.value.facts["recorded_micro"] == 5_000_000
    assert caught.value.facts["hold"] == "hld_12_3"


@both
async def test_the_failure_of_the_work_is_not_hidden_by_a_service_that_is_away(meter: Meter) -> None:
    with scripted(HELD, Step(cut_off=True)) as service, pytest.raises(LookupError) as caught:
        await meter(service.base_url, fail)

    assert "expires 900 seconds after" in caught.value.__notes__[0]


@both
async def test_a_hold_that_expired_during_the_work_is_said_as_it_is(meter: Meter) -> None:
    with scripted(HELD, problem(409, "hold_settled")) as service, pytest.raises(HoldSettledError):
        await meter(service.base_url, use(5))


@both
async def test_the_hold_and_its_end_have_keys_that_belong_together(meter: Meter) -> None:
    with scripted(HELD, DONE) as service:
        await meter(service.base_url, use(5), idempotency_key="job-1")

    assert [request.key for request in service.received] == ["job-1", "job-1.capture"]


@both
async def test_the_policy_of_a_hold_that_is_left_behind_can_be_chosen(meter: Meter) -> None:
    with scripted(HELD, DONE) as service:
        await meter(service.base_url, use(5), on_expiry="capture_estimate")

    assert service.received[0].body["on_expiry"] == "capture_estimate"
    assert service.received[0].body["estimate_micro"] == 20_000_000


def test_what_was_used_is_exact_and_not_negative() -> None:
    with (
        scripted(HELD, DONE) as service,
        Client(service.base_url, api_key="a-key") as client,
        client.metered("wal_12", 20) as job,
    ):
        with pytest.raises(TypeError, match="float"):
            job.used(0.5)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="int"):
            job.record(0.5)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="negative"):
            job.record(-1)

    assert job.recorded_micro == 0
    assert service.received[0].body["wallet"] == "wal_12"


def test_a_key_that_would_be_too_long_is_refused_before_the_work() -> None:
    with Client("http://127.0.0.1:9", api_key="a-key") as client, pytest.raises(ValueError, match="240"):
        client.metered(7, 20, idempotency_key="k" * 241)


async def test_cancelled_work_gives_the_hold_back() -> None:
    async def work(base_url: str) -> None:
        async with AsyncClient(base_url, api_key="a-key") as client, client.metered(7, 20) as job:
            job.used(5)
            begun.set()
            await asyncio.sleep(60)

    begun = asyncio.Event()
    with scripted(HELD, DONE) as service:
        task = asyncio.create_task(work(service.base_url))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert service.received[1].path == "/v1/holds/hld_12_3/release"

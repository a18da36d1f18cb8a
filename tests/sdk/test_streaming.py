"""Metered work that streams: the hold is kept alive, parts are charged on the way, and every exit ends it once."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from typing import Any

import pytest
from sdk.scripted_service import PLACED, SETTLED, Received, ScriptedService, Step, problem, scripted
from sdk.test_requests import HOLD

from credit_sdk import AsyncClient, Client, HoldUnsettledError, Job, RetryLimits
from credit_sdk.errors import HoldSettledError

BRIEF = RetryLimits(attempts=2, seconds=2)
HELD, PART, BEAT, AWAY = (
    Step(body=PLACED),
    Step(status=200, body=SETTLED),
    Step(status=200, body=HOLD),
    Step(status=503),
)
ANY = Step(status=200, body={**HOLD, **SETTLED})
Work = Callable[[Job], Coroutine[Any, Any, None]]
Meter = Callable[..., Awaitable[Job]]


async def meter_blocking(base_url: str, work: Work, **terms: Any) -> Job:
    def run() -> Job:
        with (
            Client(base_url, retries=BRIEF) as client,
            client.metered(7, 20, idempotency_key="chat", **terms) as job,
        ):
            asyncio.run(work(job))
        return job

    return await asyncio.to_thread(run)


async def meter_awaited(base_url: str, work: Work, **terms: Any) -> Job:
    async with (
        AsyncClient(base_url, retries=BRIEF) as client,
        client.metered(7, 20, idempotency_key="chat", **terms) as job,
    ):
        await work(job)
    return job


both = pytest.mark.parametrize("meter", [meter_blocking, meter_awaited])


def said(service: ScriptedService) -> list[tuple[str, Any, str | None]]:
    """The last words of the paths, the amounts and the keys of what came after the hold was placed."""
    return [brief(received) for received in service.received[1:]]


def brief(received: Received) -> tuple[str, Any, str | None]:
    verb = received.path.rpartition("/")[2]
    return verb, received.body.get("amount_micro"), None if verb == "extend" else received.key


async def until(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not check() and time.monotonic() < deadline:  # noqa: ASYNC110 - what is awaited is a fact, not an event
        await asyncio.sleep(0.01)
    assert check()


@both
async def test_parts_are_charged_on_the_way_and_the_rest_at_the_end(meter: Meter) -> None:
    async def work(job: Job) -> None:
        job.used("2.5")
        await until(lambda: job.parts == 1)
        assert service.received[1].body["final"] is False
        job.used("4.5")

    with scripted(HELD, PART) as service:
        job = await meter(service.base_url, work, capture_every=2)

    assert said(service) == [
        ("capture", 2_000_000, "chat.part-1"),
        ("capture", 2_000_000, "chat.part-2"),
        ("capture", 2_000_000, "chat.part-3"),
        ("capture", 1_000_000, "chat.capture"),
    ]
    assert service.received[-1].body["final"] is True
    assert (job.recorded_micro, job.captured_micro) == (7_000_000, 6_000_000)


@both
@pytest.mark.parametrize(
    ("used", "last"),
    [
        (4, ("release", None, "chat.release")),
        (20, ("capture", 10_000_000, "chat.part-2")),
        (25, ("capture", 10_000_000, "chat.part-2")),
    ],
)
async def test_whole_parts_leave_nothing_or_a_release(meter: Meter, used: int, last: tuple[Any, ...]) -> None:
    async def work(job: Job) -> None:
        job.used(used)

    with scripted(HELD, PART) as service:
        job = await meter(service.base_url, work, capture_every=4 if used == 4 else 10)

    assert said(service)[-1] == last
    assert job.settled is not None


@both
async def test_a_part_whose_answer_was_lost_is_sent_again_under_its_key(meter: Meter) -> None:
    async def work(job: Job) -> None:
        job.used(3)
        await until(lambda: len(service.received) >= 2)

    with scripted(HELD, Step(cut_off=True), PART) as service:
        await meter(service.base_url, work, capture_every=2)

    assert set(said(service)) == {
        ("capture", 2_000_000, "chat.part-1"),
        ("capture", 1_000_000, "chat.capture"),
    }
    assert said(service).count(("capture", 1_000_000, "chat.capture")) == 1


@both
async def test_the_hold_is_kept_alive_while_the_work_runs(meter: Meter) -> None:
    async def work(job: Job) -> None:
        job.used(1)
        await until(lambda: len(service.received) >= 4)

    with scripted(HELD, BEAT, BEAT, ANY) as service:
        job = await meter(service.base_url, work, heartbeat=True, lifetime_seconds=1)

    told = said(service)
    assert told[:2] == [("extend", None, None)] * 2
    assert service.received[1].body == {"lifetime_seconds": 1}
    assert 0.25 < service.received[2].at - service.received[1].at < 3
    assert told[-1] == ("capture", 1_000_000, "chat.capture")
    assert job.expires_at is not None


@both
async def test_a_missed_beat_is_made_up_for(meter: Meter) -> None:
    async def work(job: Job) -> None:
        job.used(1)
        await until(lambda: len(service.received) >= 3)

    with scripted(HELD, AWAY, ANY) as service:
        await meter(service.base_url, work, heartbeat=True, lifetime_seconds=3)

    assert said(service)[:2] == [("extend", None, None)] * 2
    assert service.received[2].at - service.received[1].at < 2.5


@both
async def test_a_hold_that_is_over_is_not_extended_further_and_said_at_the_end(meter: Meter) -> None:
    async def work(job: Job) -> None:
        job.used(1)
        await until(lambda: len(service.received) >= 2)
        await asyncio.sleep(0.6)

    with scripted(HELD, problem(409, "hold_settled")) as service, pytest.raises(HoldSettledError):
        await meter(service.base_url, work, heartbeat=True, lifetime_seconds=1)

    assert [verb for verb, _, _ in said(service)] == ["extend", "capture"]


@both
async def test_a_service_that_is_away_at_the_end_says_when_the_hold_expires(meter: Meter) -> None:
    async def work(job: Job) -> None:
        job.used(3)
        await until(lambda: job.parts == 1)

    with scripted(HELD, PART, AWAY) as service, pytest.raises(HoldUnsettledError) as caught:
        await meter(service.base_url, work, capture_every=2)

    assert caught.value.facts["captured_micro"] == 2_000_000
    assert caught.value.facts["recorded_micro"] == 3_000_000


@both
async def test_work_that_fails_is_charged_once_for_what_it_used(meter: Meter) -> None:
    async def work(job: Job) -> None:
        job.used(5)
        raise LookupError("the model is gone")

    with scripted(HELD, PART) as service, pytest.raises(LookupError):
        await meter(service.base_url, work, charge_on_failure=True, capture_every=4)

    assert [amount for _, amount, _ in said(service)] == [4_000_000, 1_000_000]


async def test_a_stream_that_its_reader_leaves_is_charged_for_what_was_read() -> None:
    async def stream(client: AsyncClient) -> AsyncGenerator[int, None]:
        async with client.metered(7, 20, charge_on_failure=True) as job:
            for number in range(100):
                job.used(1)
                yield number

    with scripted(HELD, PART) as service:
        async with AsyncClient(service.base_url) as client, contextlib.aclosing(stream(client)) as reading:
            async for number in reading:
                if number == 2:
                    break

    assert [(verb, amount) for verb, amount, _ in said(service)] == [("capture", 3_000_000)]


def test_a_generator_that_is_closed_is_charged_for_what_was_read() -> None:
    def stream(client: Client) -> Generator[int, None, None]:
        with client.metered(7, 20, charge_on_failure=True, heartbeat=True) as job:
            for number in range(100):
                job.used(1)
                yield number

    with scripted(HELD, PART) as service, Client(service.base_url) as client:
        reading = stream(client)
        assert [next(reading) for _ in range(3)] == [0, 1, 2]
        reading.close()

    assert [(verb, amount) for verb, amount, _ in said(service)] == [("capture", 3_000_000)]
    assert not [thread for thread in threading.enumerate() if thread.name == "credit-sdk-metered"]


async def test_a_task_cancelled_again_and_again_is_charged_once() -> None:
    async def work(client: AsyncClient) -> None:
        async with client.metered(7, 20, charge_on_failure=True, heartbeat=True) as job:
            job.used(3)
            begun.set()
            await asyncio.sleep(60)

    begun = asyncio.Event()
    with scripted(HELD, Step(status=200, body=SETTLED, delay_seconds=0.3)) as service:
        async with AsyncClient(service.base_url) as client:
            task = asyncio.create_task(work(client))
            await begun.wait()
            for _ in range(5):
                task.cancel()
                await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: len(service.received) == 2)
            await asyncio.sleep(0.5)

    assert [(verb, amount) for verb, amount, _ in said(service)] == [("capture", 3_000_000)]

"""Failures on the way: what is tried again, with which key, for how long. A real server fails as chosen."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from sdk.scripted_service import POSTED, Step, problem, scripted

from credit_sdk import AsyncClient, Client, CreditError, RetryLimits, ServiceUnreachableError
from credit_sdk.answers import PostedTransfer
from credit_sdk.errors import InsufficientCreditsError, StripeRefusedError, UnexpectedAnswerError

FINE = Step(body=POSTED)
BRIEF = RetryLimits(attempts=3, seconds=5)
Spend = Callable[..., Any]


async def spend_blocking(base_url: str, **patience: Any) -> PostedTransfer:
    with Client(base_url, api_key="a-key", **{"retries": BRIEF, **patience}) as client:
        return client.transfers.spend(7, "5")


async def spend_awaited(base_url: str, **patience: Any) -> PostedTransfer:
    async with AsyncClient(base_url, api_key="a-key", **{"retries": BRIEF, **patience}) as client:
        return await client.transfers.spend(7, "5")


both = pytest.mark.parametrize("spend", [spend_blocking, spend_awaited])


@both
async def test_a_connection_cut_after_the_booking_is_repeated_with_the_same_key(spend: Spend) -> None:
    with scripted(Step(cut_off=True), Step(cut_off=True), FINE) as service:
        answer = await spend(service.base_url)

    assert answer.amount_micro == 5_000_000
    assert len(service.received) == 3
    assert len(service.booked) == 1
    assert service.received[0].headers["x-api-key"] == "a-key"
    assert service.received[0].body == {"user_id": 7, "type": "spend", "amount_micro": 5_000_000}


@both
@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_service_that_is_briefly_away_is_asked_again(spend: Spend, status: int) -> None:
    with scripted(Step(status=status, body="<html>"), FINE) as service:
        await spend(service.base_url)

    assert len({request.key for request in service.received}) == 1
    assert len(service.received) == 2


@both
async def test_retry_after_in_seconds_is_honoured(spend: Spend) -> None:
    with scripted(Step(status=503, headers={"Retry-After": "1"}), FINE) as service:
        await spend(service.base_url)

    assert service.received[1].at - service.received[0].at >= 1


async def test_retry_after_as_a_date_is_honoured() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=3), usegmt=True)
    with scripted(Step(status=429, headers={"Retry-After": date}), FINE) as service:
        await spend_blocking(service.base_url)

    assert service.received[1].at - service.received[0].at >= 1


@both
async def test_a_retry_after_beyond_the_limit_is_raised_at_once(spend: Spend) -> None:
    begun = time.monotonic()

    with (
        scripted(Step(status=503, headers={"Retry-After": "120"}), FINE) as service,
        pytest.raises(CreditError) as caught,
    ):
        await spend(service.base_url)

    assert time.monotonic() - begun < 2
    assert len(service.received) == 1
    assert caught.value.retry_after_seconds == 120


@both
async def test_attempts_are_bounded_and_the_error_has_the_key(spend: Spend) -> None:
    with (
        scripted(Step(cut_off=True)) as service,
        pytest.raises(ServiceUnreachableError, match="same idempotency key") as caught,
    ):
        await spend(service.base_url)

    assert len(service.received) == BRIEF.attempts
    assert caught.value.idempotency_key == service.received[0].key
    assert caught.value.retryable


@both
async def test_a_refusal_is_an_answer_and_not_repeated(spend: Spend) -> None:
    with (
        scripted(problem(402, "insufficient_credits", shortfall_micro=3_000_000), FINE) as service,
        pytest.raises(InsufficientCreditsError) as caught,
    ):
        await spend(service.base_url)

    assert len(service.received) == 1
    assert caught.value.status == 402
    assert caught.value.facts == {"shortfall_micro": 3_000_000}


async def test_what_only_an_operator_can_change_is_not_repeated() -> None:
    with scripted(problem(502, "stripe_refused"), FINE) as service, pytest.raises(StripeRefusedError):
        await spend_blocking(service.base_url)

    assert len(service.received) == 1


@both
async def test_an_answer_that_comes_too_late_is_asked_for_again(spend: Spend) -> None:
    with scripted(Step(body=POSTED, delay_seconds=1), FINE) as service:
        await spend(service.base_url, timeout_seconds=0.3)

    assert len(service.received) == 2
    assert len(service.booked) == 1


@both
async def test_nobody_listening_is_said_after_the_last_attempt(spend: Spend) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(ServiceUnreachableError):
            await spend(f"http://127.0.0.1:{unused.getsockname()[1]}")


@both
async def test_a_replayed_answer_says_so(spend: Spend) -> None:
    with scripted(Step(body=POSTED, headers={"Idempotent-Replayed": "true"})) as service:
        answer = await spend(service.base_url)

    assert answer.replayed


@both
@pytest.mark.parametrize(
    "body",
    ["<html>", "[]", {**POSTED, "amount_micro": 5.0}, {**POSTED, "created_at": "now"}, {"id": "trf_1_1"}],
)
async def test_an_answer_that_is_not_the_services_is_refused(spend: Spend, body: Any) -> None:
    with scripted(Step(body=body)) as service, pytest.raises(UnexpectedAnswerError):
        await spend(service.base_url)


async def test_fields_of_a_newer_service_are_ignored() -> None:
    with scripted(Step(body={**POSTED, "colour": "blue"})) as service:
        answer = await spend_blocking(service.base_url)

    assert answer.id == "trf_12_2"


def test_a_key_of_ones_own_is_sent_as_it_is() -> None:
    with scripted(FINE) as service, Client(service.base_url, api_key="a-key") as client:
        client.transfers.spend(7, 5, idempotency_key="job-12345")

    assert service.received[0].key == "job-12345"

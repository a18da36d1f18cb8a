"""The state machine of settlement: every answer at every step, with the requests as they arrive at a real server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sdk.scripted_service import PLACED, POSTED, SETTLED, Received, ScriptedService, Step, problem, scripted

from credit_sdk import Client, FailOpen, OutboxSpend, RetryLimits
from credit_sdk.errors import InsufficientCreditsError
from credit_sdk.outbox import ladder
from credit_sdk.outbox.ladder import Step as Rung
from credit_sdk.outbox.rows import State

KEY = "job-1"
CAPTURED = Step(status=201, body=SETTLED)
SPENT = Step(status=201, body=POSTED)
SHORT = problem(402, "insufficient_credits", shortfall_micro=1)
OVER_BUDGET = problem(402, "budget_exceeded", budget="bud_1")
OVER = problem(409, "hold_settled")
TOO_MUCH = problem(409, "capture_exceeds_hold")
REUSED = problem(422, "idempotency_key_reused")
AWAY = Step(status=503)
LOST = Step(cut_off=True)
FORBIDDEN = problem(403, "permission_denied")
NO_HOLD = problem(404, "hold_not_found")
NO_USER = problem(404, "user_not_found")

CAPTURE = ("/v1/holds/hld_12_3/capture", KEY)
SPEND = ("/v1/transfers", KEY)
SECOND = ("/v1/holds/hld_12_3/capture", ladder.key_of(Rung.CAPTURE_SECOND, KEY))
THIRD = ("/v1/transfers", ladder.key_of(Rung.SPEND_THIRD, KEY))


def accepted(service: ScriptedService, place: Path, *, asked: bool) -> tuple[Client, list[OutboxSpend]]:
    """A client with one line in its outbox: of a spend that was asked for, or of one that was not."""
    told: list[OutboxSpend] = []
    terms = FailOpen(
        lease=20,
        outbox=place / "outbox.sqlite",
        patience_seconds=2,
        pause_seconds=30,
        background=False,
        on_uncollected=told.append,
    )
    client = Client(service.base_url, api_key="a-key", when_away=terms)
    service.steps[:] = [SPENT, Step(body=PLACED), AWAY]
    client.transfers.spend(7, 1)
    if not asked:
        # Somebody else finds out that the service is away; within the pause this spend asks nobody.
        client._sender.books.gate.away()  # type: ignore[attr-defined]
    assert client.transfers.spend(7, 5, description="Why", idempotency_key=KEY).pending
    service.received.clear()
    return client, told


def settled(
    place: Path, answers: Sequence[Step], *, asked: bool
) -> tuple[list[Received], OutboxSpend, list[str]]:
    """What was asked while an outbox settled, given these answers, and what became of its line."""
    with scripted(SPENT) as service:
        client, told = accepted(service, place, asked=asked)
        with client:
            service.steps[:] = [*answers, AWAY]
            client.outbox.settle()
            [line] = client.outbox.find(KEY)
    return service.received, line, [spend.key for spend in told]


@pytest.mark.parametrize(
    ("asked", "answers", "requests", "state"),
    [
        # Never asked: the capture is booked, or was never possible.
        (False, [CAPTURED], [CAPTURE], State.COLLECTED),
        (False, [OVER, SPENT], [CAPTURE, THIRD], State.COLLECTED),
        (False, [TOO_MUCH, SPENT], [CAPTURE, THIRD], State.COLLECTED),
        (False, [OVER, SHORT], [CAPTURE, THIRD], State.UNCOLLECTED),
        (False, [OVER, OVER_BUDGET], [CAPTURE, THIRD], State.UNCOLLECTED),
        (False, [OVER, REUSED], [CAPTURE, THIRD], State.UNCOLLECTED),
        # The key is taken: perhaps by this very spend, sent by somebody else or before a crash.
        (False, [REUSED, SPENT], [CAPTURE, SPEND], State.COLLECTED),
        (False, [REUSED, REUSED], [CAPTURE, SPEND], State.UNCOLLECTED),
        (False, [REUSED, SHORT, CAPTURED], [CAPTURE, SPEND, SECOND], State.COLLECTED),
        # Asked: first the spend itself.
        (True, [SPENT], [SPEND], State.COLLECTED),
        (True, [REUSED], [SPEND], State.UNCOLLECTED),
        (True, [SHORT, CAPTURED], [SPEND, SECOND], State.COLLECTED),
        (True, [OVER_BUDGET, CAPTURED], [SPEND, SECOND], State.COLLECTED),
        (True, [SHORT, OVER, SPENT], [SPEND, SECOND, THIRD], State.COLLECTED),
        (True, [SHORT, TOO_MUCH, SPENT], [SPEND, SECOND, THIRD], State.COLLECTED),
        (True, [SHORT, OVER, SHORT], [SPEND, SECOND, THIRD], State.UNCOLLECTED),
        (True, [SHORT, REUSED], [SPEND, SECOND], State.UNCOLLECTED),
        (True, [NO_USER], [SPEND], State.UNCOLLECTED),
        # Nothing certain: the same is asked again, never anything else. Within one round twice, if nobody answers.
        (False, [LOST, CAPTURED], [CAPTURE, CAPTURE], State.COLLECTED),
        (False, [AWAY, CAPTURED], [CAPTURE, CAPTURE], State.COLLECTED),
        (False, [LOST, LOST], [CAPTURE, CAPTURE], State.PENDING),
        (True, [LOST, SPENT], [SPEND, SPEND], State.COLLECTED),
        (True, [LOST, LOST], [SPEND, SPEND], State.PENDING),
        (True, [SHORT, LOST, LOST], [SPEND, SECOND, SECOND], State.PENDING),
        (True, [SHORT, OVER, LOST, AWAY], [SPEND, SECOND, THIRD, THIRD], State.PENDING),
        (False, [OVER, AWAY, AWAY], [CAPTURE, THIRD, THIRD], State.PENDING),
        (False, [FORBIDDEN], [CAPTURE], State.PENDING),
        (False, [NO_HOLD], [CAPTURE], State.PENDING),
        (True, [problem(401, "api_key_revoked")], [SPEND], State.PENDING),
        (True, [Step(body="<html>")], [SPEND], State.PENDING),
    ],
)
def test_each_answer_leads_where_the_table_says(
    tmp_path: Path,
    asked: bool,
    answers: list[Step],
    requests: list[tuple[str, str]],
    state: State,
) -> None:
    received, line, told = settled(tmp_path, answers, asked=asked)

    assert [(got.path, got.key) for got in received] == requests
    assert line.state == state
    assert told == ([KEY] if state == State.UNCOLLECTED else [])
    assert (line.problem is None) == (state == State.COLLECTED)


def test_each_request_carries_the_terms_that_its_key_stands_for(tmp_path: Path) -> None:
    received, line, _ = settled(tmp_path, [SHORT, OVER, SPENT], asked=True)

    spend, capture, third = (got.body for got in received)
    assert spend == third == {"user_id": 7, "type": "spend", "amount_micro": 5_000_000, "description": "Why"}
    assert capture == {"amount_micro": 5_000_000, "final": False, "description": "Why"}
    assert len({got.key for got in received}) == 3
    assert line.transfer == POSTED["id"]


def test_a_line_that_waits_for_people_does_not_stop_the_others(tmp_path: Path) -> None:
    with scripted(SPENT) as service:
        client, _ = accepted(service, tmp_path, asked=False)
        with client:
            client.transfers.spend(7, 2, idempotency_key="job-2")
            service.steps[:] = [NO_HOLD, CAPTURED]
            found = client.outbox.settle()
            [waiting] = client.outbox.pending()

    assert (found.collected, found.pending) == (1, 1)
    assert (waiting.key, waiting.problem, waiting.tries) == (KEY, "hold_not_found", 1)


def test_an_absent_service_ends_the_round_after_one_line(tmp_path: Path) -> None:
    with scripted(SPENT) as service:
        client, _ = accepted(service, tmp_path, asked=False)
        with client:
            client.transfers.spend(7, 2, idempotency_key="job-2")
            service.steps[:] = [AWAY]
            found = client.outbox.settle()

    assert found.pending == 2
    assert {got.key for got in service.received} == {KEY}


def test_an_app_that_cannot_listen_is_told_again(tmp_path: Path) -> None:
    heard: list[str] = []

    def listen(spend: OutboxSpend) -> None:
        heard.append(spend.key)
        if len(heard) == 1:
            raise RuntimeError("not now")

    with scripted(SPENT) as service:
        accepted(service, tmp_path, asked=True)[0].close()
        terms = FailOpen(lease=20, outbox=tmp_path / "outbox.sqlite", background=False, on_uncollected=listen)
        with Client(service.base_url, when_away=terms, retries=RetryLimits(attempts=1)) as client:
            service.steps[:] = [REUSED]
            for _ in range(3):
                client.outbox.settle()

    assert heard == [KEY, KEY]


@pytest.mark.parametrize("rung", Rung)
def test_only_what_the_ledger_remembers_leads_to_another_key(rung: Rung) -> None:
    remembered = {
        "hold_settled",
        "capture_exceeds_hold",
        "insufficient_credits",
        "budget_exceeded",
        "idempotency_key_reused",
    }
    for code in (
        "database_unavailable",
        "http_500",
        "permission_denied",
        "hold_not_found",
        "wallet_busy",
        "x",
    ):
        assert ladder.after(rung, code) is None
    for code in remembered:
        turn = ladder.after(rung, code)
        assert not isinstance(turn, Rung) or list(Rung).index(turn) > list(Rung).index(rung)


def test_derived_keys_fit_and_cannot_meet_a_callers_own() -> None:
    keys: set[Any] = {ladder.key_of(rung, "k" * 255) for rung in Rung}

    assert len(keys) == 3, "capture and spend share the caller's own key, so that only one of them can act"
    assert all(len(key) <= 255 for key in keys)


def test_what_is_resumed_after_a_payment_goes_straight_to_the_service(tmp_path: Path) -> None:
    terms = FailOpen(lease=20, outbox=tmp_path / "outbox.sqlite", background=False)
    paid = problem(402, "insufficient_credits", shortfall_micro=1, resume_token="tbj_1")
    dearer = problem(402, "insufficient_credits", shortfall_micro=2, resume_token="tbj_1")

    with scripted(paid, dearer, SPENT, AWAY) as service, Client(service.base_url, when_away=terms) as client:
        for _ in range(2):
            with pytest.raises(InsufficientCreditsError) as short:
                client.transfers.spend(7, 5, idempotency_key=KEY)
        client.transfers.spend(7, 5, idempotency_key=KEY, resume=short.value.resume_token)
        with pytest.raises(InsufficientCreditsError) as away:
            client.transfers.spend(7, 5, idempotency_key=KEY)

    assert service.received[2].headers["resume-token"] == "tbj_1"
    assert short.value.facts["shortfall_micro"] == 2, "the service has newer offers"
    assert away.value.facts["shortfall_micro"] == 1, "and without it there is the first answer"

"""Who fails open and who closed, what is covered, and what counts as away."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sdk.leases import AWAY, HELD, SPENT, leased, terms
from sdk.scripted_service import POSTED, Step, problem, scripted

from credit_sdk import AsyncClient, Client, CreditSDK, FailClosed, RetryLimits
from credit_sdk.errors import AmountOutOfRangeError, ServiceUnreachableError, SettingsError


def test_a_client_fails_closed_unless_it_is_told_otherwise(tmp_path: Path) -> None:
    with scripted(AWAY) as service:
        for closed in (None, FailClosed()):
            patience: dict[str, Any] = {"retries": RetryLimits(attempts=1), "when_away": closed}
            with Client(service.base_url, **patience) as client:
                with pytest.raises(SettingsError, match="fails closed"):
                    _ = client.outbox
                with pytest.raises(Exception, match="503"):
                    client.transfers.spend(7, 1)
            with pytest.raises(SettingsError, match="fails closed"):
                _ = AsyncClient(service.base_url, when_away=closed).outbox
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wrong", "refused"),
    [
        ({"lease": 0}, AmountOutOfRangeError),
        ({"lease": 0.5}, TypeError),
        ({"lifetime_seconds": 0}, SettingsError),
        ({"patience_seconds": -1}, SettingsError),
    ],
)
def test_terms_that_cannot_work_are_refused(
    tmp_path: Path, wrong: dict[str, Any], refused: type[Exception]
) -> None:
    with pytest.raises(refused):
        terms(tmp_path, **wrong)


def test_credit_sdk_fails_open_too(tmp_path: Path) -> None:
    with scripted(SPENT, HELD, AWAY) as service:
        with CreditSDK(service.base_url, api_key="a-key", when_away=terms(tmp_path)) as sdk:
            assert sdk.consume_credits(7, 1, "Online")
            assert sdk.consume_credits(7, "2.5", "Away", idempotency_key="away")
        with Client(service.base_url, api_key="a-key", when_away=terms(tmp_path)) as client:
            [line] = client.outbox.pending()

    assert (line.key, line.amount_micro, line.body["description"]) == ("away", 2_500_000, "Away")


def test_over_sql_nothing_can_be_leased(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="needs the API"):
        CreditSDK("postgresql://app@localhost/x", when_away=terms(tmp_path))


def test_only_spends_are_covered(tmp_path: Path) -> None:
    brief = RetryLimits(attempts=1)
    with (
        scripted(SPENT, HELD, AWAY) as service,
        Client(service.base_url, api_key="a-key", when_away=terms(tmp_path), retries=brief) as client,
    ):
        client.transfers.spend(7, 1)
        calls: list[Callable[[], object]] = [
            lambda: client.transfers.grant(7, 1),
            lambda: client.holds.place(7, 1),
            lambda: client.wallets.get("wal_12"),
            # Nobody knows whose wallet that is, without the service.
            lambda: client.transfers.spend(None, 1),
        ]
        for call in calls:
            with pytest.raises(Exception, match="503"):
                call()
        assert client.outbox.pending() == ()
        assert client.transfers.spend(7, 1).pending


def test_a_lease_is_a_hold_that_is_released_when_it_expires(tmp_path: Path) -> None:
    with scripted(SPENT, HELD, AWAY) as service, leased(service, tmp_path, lifetime_seconds=300):
        pass

    placed = service.received[1]
    assert (placed.path, placed.body["on_expiry"], placed.body["lifetime_seconds"]) == (
        "/v1/holds",
        "release",
        300,
    )
    assert placed.body["amount_micro"] == 20_000_000
    assert placed.body["user_id"] == 7


def test_after_an_absence_one_spend_asks_and_the_others_do_not_wait(tmp_path: Path) -> None:
    with scripted(SPENT, HELD, AWAY) as service, leased(service, tmp_path, pause_seconds=0.5) as client:
        client.transfers.spend(7, 1)
        asked = len(service.received)
        for _ in range(3):
            client.transfers.spend(7, 1)
        within_the_pause = len(service.received)
        time.sleep(0.6)
        service.steps[:] = [SPENT]
        back = client.transfers.spend(7, 1)

    assert within_the_pause == asked
    assert not back.pending


def test_a_slow_service_is_an_absent_one(tmp_path: Path) -> None:
    with scripted(SPENT, HELD, AWAY) as service, leased(service, tmp_path, patience_seconds=0.4) as client:
        service.steps[:] = [Step(body=POSTED, delay_seconds=5)]
        begun = time.monotonic()
        answer = client.transfers.spend(7, 1, idempotency_key="slow")
        took = time.monotonic() - begun
        [line] = client.outbox.pending()

    assert answer.pending
    assert line.step == "spend", "it may have acted"
    assert took < 3


def test_a_refusal_is_an_answer_also_of_a_client_that_fails_open(tmp_path: Path) -> None:
    with scripted(SPENT, HELD, AWAY) as service, leased(service, tmp_path) as client:
        service.steps[:] = [problem(403, "permission_denied")]
        with pytest.raises(Exception, match="permission_denied"):
            client.transfers.spend(7, 1)
        service.steps[:] = [problem(429, "too_many_requests")]
        with pytest.raises(Exception, match="too_many_requests"):
            client.transfers.spend(7, 1)

        assert client.outbox.pending() == ()


def test_an_unknown_outcome_is_said_also_when_the_next_attempt_is_not_sent() -> None:
    with scripted(Step(cut_off=True)) as service:
        client = Client(service.base_url, retries=RetryLimits(attempts=1))
        with pytest.raises(ServiceUnreachableError) as lost:
            client.transfers.spend(7, 1)
    with client, pytest.raises(ServiceUnreachableError) as refused:
        client.transfers.spend(7, 1)

    assert lost.value.may_have_acted
    assert not refused.value.may_have_acted

"""CreditSDK over direct SQL: the app's own login, the views, real PostgreSQL."""

from __future__ import annotations

import multiprocessing
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sdk.conftest import AppDatabase
from sdk.cutting_proxy import cutting_proxy

from credit_sdk import CreditSDK, RetryLimits
from credit_sdk.errors import (
    AmountOutOfRangeError,
    BalanceLimitError,
    DatabaseUnavailableError,
    IdempotencyKeyReusedError,
    PermissionDeniedError,
    SettingsError,
    UserInactiveError,
    UserNotFoundError,
    WalletBusyError,
)

BRIEF = RetryLimits(attempts=2, seconds=3)


@pytest.fixture
def sdk(app_database: AppDatabase) -> Any:
    with CreditSDK(app_database.url) as sdk:
        yield sdk


def test_the_four_calls_of_the_integration_guide_work(sdk: CreditSDK, app_database: AppDatabase) -> None:
    user = app_database.user_id

    assert sdk.get_balance(user) == 0
    assert sdk.add_credits(user_id=user, credits=100, description="A gift", admin_id=None) is True
    assert sdk.can_afford(user, 100)
    assert not sdk.can_afford(user, 101)
    assert sdk.consume_credits(
        user_id=user, credits=5, description="Print job", metadata={"job_id": "job_1", "pages": 2}
    )
    assert sdk.get_balance(user) == 95
    assert type(sdk.get_balance(user)) is int


def test_what_is_missing_is_said_with_false_and_takes_nothing(
    sdk: CreditSDK, app_database: AppDatabase
) -> None:
    sdk.add_credits(app_database.user_id, 4, "A gift")

    assert sdk.consume_credits(app_database.user_id, 5, "Print job") is False
    assert sdk.get_balance(app_database.user_id) == 4


def test_a_fraction_of_a_credit_is_exact(sdk: CreditSDK, app_database: AppDatabase) -> None:
    sdk.add_credits(app_database.user_id, 1, "A gift")

    sdk.consume_credits(app_database.user_id, "0.000001", "A token")

    assert sdk.get_balance(app_database.user_id) == Decimal("0.999999")


def test_description_and_metadata_are_kept_beside_the_transfer(
    sdk: CreditSDK, app_database: AppDatabase
) -> None:
    sdk.add_credits(app_database.user_id, 10, "A gift", admin_id=3, metadata={"why": "sorry"})

    rows = app_database.ask("SELECT description, metadata, service FROM tallybook.notes")

    assert rows == [("A gift", {"why": "sorry", "admin_id": 3}, "credit_addition")]


@pytest.mark.parametrize("scheme", ["postgres", "postgresql+psycopg2", "postgresql+psycopg"])
def test_other_spellings_of_the_url_work(app_database: AppDatabase, scheme: str) -> None:
    url = app_database.url.replace("postgresql", scheme, 1)

    with CreditSDK(url) as sdk:
        assert sdk.get_balance(app_database.user_id) == 0


def test_one_key_spends_once_and_other_terms_are_refused(sdk: CreditSDK, app_database: AppDatabase) -> None:
    user = app_database.user_id
    sdk.add_credits(user, 10, "A gift")

    assert sdk.consume_credits(user, 3, "Job", idempotency_key="job-1")
    assert sdk.consume_credits(user, 3, "Job", idempotency_key="job-1")
    with pytest.raises(IdempotencyKeyReusedError):
        sdk.consume_credits(user, 4, "Job", idempotency_key="job-1")

    assert sdk.get_balance(user) == 7


def test_negative_consumption_does_not_add_credits(sdk: CreditSDK, app_database: AppDatabase) -> None:
    for credits in (-5, 0, "-0.1"):
        with pytest.raises(AmountOutOfRangeError):
            sdk.consume_credits(app_database.user_id, credits, "Job")
        with pytest.raises(AmountOutOfRangeError):
            sdk.add_credits(app_database.user_id, credits, "Gift")

    assert sdk.get_balance(app_database.user_id) == 0


def test_a_user_that_is_not_there_is_named(sdk: CreditSDK) -> None:
    with pytest.raises(UserNotFoundError):
        sdk.get_balance(10**9)
    with pytest.raises(UserNotFoundError) as caught:
        sdk.consume_credits(10**9, 1, "Job")
    assert caught.value.code == "user_not_found"


def test_an_inactive_user_is_refused_with_the_services_code(
    sdk: CreditSDK, app_database: AppDatabase
) -> None:
    app_database.ask("UPDATE tallybook.users SET is_active = false")

    with pytest.raises(UserInactiveError):
        sdk.consume_credits(app_database.user_id, 1, "Job")


def test_each_call_needs_its_permission(sdk: CreditSDK, app_database: AppDatabase) -> None:
    app_database.permit("read_user_info")

    for call in (sdk.get_balance, lambda user: sdk.can_afford(user, 1)):
        with pytest.raises(PermissionDeniedError):
            call(app_database.user_id)
    with pytest.raises(PermissionDeniedError):
        sdk.consume_credits(app_database.user_id, 1, "Job")
    with pytest.raises(PermissionDeniedError):
        sdk.add_credits(app_database.user_id, 1, "Gift")


def test_more_than_a_wallet_holds_is_refused(sdk: CreditSDK, app_database: AppDatabase) -> None:
    for _ in range(9):
        sdk.add_credits(app_database.user_id, 10**9, "A gift")

    with pytest.raises(BalanceLimitError) as caught:
        sdk.add_credits(app_database.user_id, 1, "A gift")

    assert caught.value.facts["requested_micro"] == 1_000_000


def test_two_hundred_threads_spend_one_hundred_credits_once(app_database: AppDatabase) -> None:
    with CreditSDK(app_database.url, max_connections=8, timeout_seconds=30) as sdk:
        sdk.add_credits(app_database.user_id, 100, "A gift")

        with ThreadPoolExecutor(32) as pool:
            spent = list(pool.map(lambda _: sdk.consume_credits(app_database.user_id, 1, "Job"), range(200)))
        busy = app_database.ask("SELECT count(*) FROM pg_stat_activity WHERE usename = %s", app_database.role)

        assert spent.count(True) == 100
        assert sdk.get_balance(app_database.user_id) == 0
        assert busy[0][0] <= 8


def test_a_connection_lost_after_the_booking_spends_once(app_database: AppDatabase) -> None:
    with (
        cutting_proxy(app_database.url, b"FROM change_credits(") as proxy,
        CreditSDK(proxy.url) as sdk,
    ):
        sdk.add_credits(app_database.user_id, 10, "A gift")
        proxy.cuts_left = 2
        spent = sdk.consume_credits(app_database.user_id, 3, "Job")
        balance = sdk.get_balance(app_database.user_id)

    spends = app_database.ask("SELECT count(*) FROM tallybook.transfers WHERE kind = 'spend'")
    assert proxy.cuts_left == 0
    assert (spent, balance, spends) == (True, 7, [(1,)])


def test_a_connection_that_the_server_ended_is_opened_again(
    sdk: CreditSDK, app_database: AppDatabase
) -> None:
    sdk.add_credits(app_database.user_id, 10, "A gift")

    app_database.ask(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", app_database.role
    )

    assert sdk.consume_credits(app_database.user_id, 3, "Job")
    assert sdk.get_balance(app_database.user_id) == 7


def _spend_in_child(sdk: CreditSDK, user_id: int, spent: Any, counted: Any) -> None:
    spent.put((sdk.consume_credits(user_id, 1, "Job"), sdk.get_balance(user_id)))
    counted.get()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_connections_of_its_own(sdk: CreditSDK, app_database: AppDatabase) -> None:
    user = app_database.user_id
    sdk.add_credits(user, 10, "A gift")
    fork = multiprocessing.get_context("fork")
    spent, counted = fork.SimpleQueue(), fork.SimpleQueue()

    child = fork.Process(target=_spend_in_child, args=(sdk, user, spent, counted))
    child.start()
    in_child = spent.get()
    connections = app_database.ask(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = %s", app_database.role
    )
    counted.put(True)
    child.join(20)

    assert child.exitcode == 0
    assert in_child == (True, 9)
    assert connections == [(2,)]
    assert sdk.consume_credits(user, 1, "Job")
    assert sdk.get_balance(user) == 8


def test_after_close_the_next_call_connects_again(sdk: CreditSDK, app_database: AppDatabase) -> None:
    sdk.get_balance(app_database.user_id)

    sdk.close()

    assert sdk.get_balance(app_database.user_id) == 0


def test_a_wallet_that_somebody_else_locks_is_busy_and_the_error_has_the_key(
    app_database: AppDatabase,
) -> None:
    app_database.ask(f"ALTER ROLE \"{app_database.role}\" SET lock_timeout = '100ms'")
    with CreditSDK(app_database.url, retries=BRIEF) as sdk:
        sdk.add_credits(app_database.user_id, 5, "A gift")

        with psycopg.connect(app_database.superuser_url) as other:
            other.execute("SELECT * FROM tallybook.wallets FOR UPDATE")
            with pytest.raises(WalletBusyError) as caught:
                sdk.consume_credits(app_database.user_id, 5, "Job")
        assert caught.value.idempotency_key
        spent = sdk.consume_credits(
            app_database.user_id, 5, "Job", idempotency_key=caught.value.idempotency_key
        )

    assert spent


def test_a_server_that_is_away_is_said_after_the_last_attempt() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"postgresql://app:pw@127.0.0.1:{unused.getsockname()[1]}/books"
        begun = time.monotonic()
        with CreditSDK(url, retries=BRIEF) as sdk, pytest.raises(DatabaseUnavailableError):
            sdk.get_balance(1)

    assert time.monotonic() - begun < 5


def test_a_login_that_is_not_an_apps_is_told_so(app_database: AppDatabase) -> None:
    with CreditSDK(app_database.superuser_url) as sdk, pytest.raises(SettingsError, match="database login"):
        sdk.get_balance(app_database.user_id)


@pytest.mark.parametrize("url", [None, "", "mysql://host/db", "localhost"])
def test_what_is_no_url_is_refused_when_the_sdk_is_made(url: str | None) -> None:
    with pytest.raises(SettingsError):
        CreditSDK(url, api_key="a-key")


def test_the_api_needs_its_key() -> None:
    with pytest.raises(SettingsError, match="API_KEY"):
        CreditSDK("https://api.example.com")


def test_a_refusal_over_sql_is_remembered_under_its_key(sdk: CreditSDK, app_database: AppDatabase) -> None:
    user = app_database.user_id
    first = sdk.consume_credits(user, 5, "Job", idempotency_key="job-1")
    sdk.add_credits(user, 100, "A gift")

    again = sdk.consume_credits(user, 5, "Job", idempotency_key="job-1")

    assert (first, again) == (False, False)
    assert sdk.get_balance(user) == 100


def test_a_grant_over_sql_stands_in_the_audit_log(sdk: CreditSDK, app_database: AppDatabase) -> None:
    sdk.add_credits(app_database.user_id, 7, "A gift", idempotency_key="g")
    sdk.add_credits(app_database.user_id, 7, "A gift", idempotency_key="g")

    rows = app_database.ask(
        "SELECT actor_kind, action, after ->> 'amount_micro' FROM tallybook.audit_log WHERE action = 'credits.granted'"
    )
    assert rows == [("app", "credits.granted", "7000000")]

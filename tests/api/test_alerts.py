"""Alerts over HTTP: whose they are, what they say, and how announcements are read page by page."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
from api.cast import MICRO, Cast

LOW = {"kind": "low_balance", "amount_micro": 10 * MICRO}


def _customer(cast: Cast, credits: int = 100) -> tuple[str, str]:
    """A new customer who may call, and their wallet."""
    name = f"customer {uuid.uuid4().hex}"
    email = f"{uuid.uuid4().hex}@example.com"
    password = "a password of the tests"
    made = cast.ask("nobody", "POST", "/v1/users", {"email": email, "password": password}).json()
    grant = {"user_id": made["user_id"], "type": "grant", "amount_micro": credits * MICRO}
    wallet = cast.ask("admin", "POST", "/v1/transfers", grant).json()["wallet"]
    cast.callers[name] = {"Authorization": f"Bearer {cast.sign_in(email, password)['session_token']}"}
    return name, str(wallet)


def _announced(cast: Cast, caller: str, query: str, wanted: int) -> list[dict[str, Any]]:
    """Wait for the running worker to announce so much."""
    deadline = time.monotonic() + 20
    while True:
        found = cast.ask(caller, "GET", f"/v1/announcements{query}").json()["data"]
        if len(found) >= wanted or time.monotonic() > deadline:
            return list(found)
        time.sleep(0.05)


def test_an_owner_is_told_once_that_the_balance_is_low(cast: Cast) -> None:
    owner, wallet = _customer(cast)
    alert = cast.ask(owner, "POST", "/v1/alerts", LOW).json()

    for amount in (95, 1, 1):
        cast.ask(owner, "POST", "/v1/transfers", {"amount_micro": amount * MICRO})
    [told] = _announced(cast, owner, "", 1)

    assert alert["wallet"] == told["wallet"] == wallet
    assert told["kind"] == "alert.low_balance"
    number = wallet.removeprefix("wal_")
    assert told["facts"] == {
        "alert": alert["id"],
        "transfer": f"trf_{number}_2",
        "amount_micro": 10 * MICRO,
        "available_micro": 5 * MICRO,
    }


def test_a_retried_alert_is_one_alert(cast: Cast) -> None:
    owner, _ = _customer(cast)

    first = cast.ask(owner, "POST", "/v1/alerts", LOW, Idempotency_Key="once")
    again = cast.ask(owner, "POST", "/v1/alerts", LOW, Idempotency_Key="once")
    other = cast.ask(owner, "POST", "/v1/alerts", LOW | {"margin_micro": 5}, Idempotency_Key="once")

    assert first.json() == again.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert other.json()["code"] == "idempotency_key_reused"
    assert len(cast.ask(owner, "GET", "/v1/alerts").json()["data"]) == 1


def test_an_alert_is_changed_and_ended_by_its_owner(cast: Cast) -> None:
    owner, _ = _customer(cast)
    body = {"kind": "spend_threshold", "span": "month", "amount_micro": 5 * MICRO}
    path = f"/v1/alerts/{cast.ask(owner, 'POST', '/v1/alerts', body).json()['id']}"

    changed = cast.ask(owner, "PATCH", path, {"percents": [90, 10, 90]})
    wrong = cast.ask(owner, "PATCH", path, {"rearm_percent": 50})
    ended = cast.ask(owner, "DELETE", path)

    assert changed.json()["percents"] == [10, 90]
    assert wrong.json()["code"] == "invalid_request"
    assert ended.status_code == 204
    assert cast.ask(owner, "GET", path).json()["code"] == "alert_not_found"
    assert cast.ask(owner, "GET", "/v1/alerts").json()["data"] == []


def test_an_apps_alert_is_its_own(cast: Cast) -> None:
    owner, wallet = _customer(cast)
    made = cast.ask("read_credits app", "POST", "/v1/alerts", LOW | {"wallet": wallet}).json()
    path = f"/v1/alerts/{made['id']}"

    statuses = {
        caller: [
            cast.ask(caller, "GET", path).status_code,
            cast.ask(caller, "PATCH", path, {"margin_micro": 1}).status_code,
            len(cast.ask(caller, "GET", f"/v1/alerts?wallet={wallet}").json()["data"]),
        ]
        for caller in ("read_credits app", "seed app", owner, "admin")
    }

    # The owner sees that an app watches, and leaves it to the app.
    assert statuses == {
        "read_credits app": [200, 200, 1],
        "seed app": [404, 404, 0],
        owner: [404, 404, 1],
        "admin": [200, 200, 1],
    }


def test_an_apps_alert_is_announced_to_it_and_the_owner_and_to_no_other_app(cast: Cast) -> None:
    owner, wallet = _customer(cast, credits=5)
    cast.ask("read_credits app", "POST", "/v1/alerts", LOW | {"wallet": wallet})
    query = f"?wallet={wallet}"

    [told] = _announced(cast, "read_credits app", query, 1)

    assert _announced(cast, owner, "", 1) == [told]
    assert cast.ask("seed app", "GET", f"/v1/announcements{query}").json()["data"] == []


def test_an_app_hears_what_the_house_announces_about_its_users(cast: Cast) -> None:
    ada = cast.people["ada"]
    alert = {"kind": "low_balance", "user_id": ada.user_id, "amount_micro": 10**15}
    made = cast.ask("admin", "POST", "/v1/alerts", alert).json()

    heard = _announced(cast, "seed app", "", 1)
    elsewhere = cast.ask("grant_credits app", "GET", "/v1/announcements").json()

    # Ada signed in to the seed app.
    assert made["id"] in {told["facts"]["alert"] for told in heard}
    assert elsewhere["code"] == "permission_denied"
    assert all(
        told["facts"]["alert"] != made["id"]
        for told in cast.ask("read_credits app", "GET", "/v1/announcements").json()["data"]
    )


@pytest.mark.parametrize("caller", ["ada", "full app", "bob in app", "admin in app"])
def test_only_an_admin_sets_a_default(cast: Cast, caller: str) -> None:
    answer = cast.ask(caller, "POST", "/v1/alerts", LOW | {"every_wallet": True})

    assert answer.status_code == 403, answer.text


def test_pages_of_alerts_and_announcements_lead_through_all_of_them(cast: Cast) -> None:
    owner, _ = _customer(cast, credits=5)
    alerts = [cast.ask(owner, "POST", "/v1/alerts", LOW).json()["id"] for _ in range(5)]
    assert len(_announced(cast, owner, "?limit=200", 5)) == 5

    seen: dict[str, list[str]] = {}
    for path in ("/v1/alerts", "/v1/announcements"):
        page = cast.ask(owner, "GET", f"{path}?limit=2").json()
        seen[path] = [one["id"] for one in page["data"]]
        while page["has_more"]:
            page = cast.ask(owner, "GET", f"{path}?limit=2&after={page['next_cursor']}").json()
            seen[path] += [one["id"] for one in page["data"]]

    assert seen["/v1/alerts"] == alerts
    numbers = [int(one.removeprefix("ann_")) for one in seen["/v1/announcements"]]
    assert numbers == sorted(numbers, reverse=True)
    assert len(set(numbers)) == 5


def test_a_wallet_has_at_most_twenty_alerts_of_an_app(cast: Cast) -> None:
    owner, wallet = _customer(cast)

    answers = [cast.ask(owner, "POST", "/v1/alerts", LOW) for _ in range(21)]
    of_an_app = cast.ask("full app", "POST", "/v1/alerts", LOW | {"wallet": wallet})

    assert [answer.status_code for answer in answers] == [201] * 20 + [409]
    assert answers[-1].json()["code"] == "alert_limit"
    assert of_an_app.status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "low_balance", "amount_micro": 0},
        {"kind": "low_balance", "amount_micro": 5, "span": "hour"},
        {"kind": "burn_rate", "amount_micro": 5},
        {"kind": "burn_rate", "amount_micro": 5, "span": "month"},
        {"kind": "burn_rate", "amount_micro": 5, "span": "day", "rearm_percent": 0},
        {"kind": "spend_threshold", "amount_micro": 5, "span": "hour"},
        {"kind": "spend_threshold", "amount_micro": 5, "span": "day", "percents": []},
        {"kind": "other", "amount_micro": 5},
        {"kind": "low_balance", "amount_micro": 5, "user_id": 1, "wallet": "wal_1"},
    ],
)
def test_an_alert_that_makes_no_sense_is_refused(cast: Cast, body: dict[str, Any]) -> None:
    answer = cast.ask("ada", "POST", "/v1/alerts", body)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")

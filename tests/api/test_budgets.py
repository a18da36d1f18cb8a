"""Budgets and caps over HTTP: what they look like, and what they do to spends and holds."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from api.cast import MICRO, OTHER_PASSWORD, Cast

SHARE = {"name": "Research team", "kind": "team", "limit_micro": 10 * MICRO, "period": "month"}


def _customer(cast: Cast, credits: int = 100) -> tuple[str, str]:
    """A new customer who is signed in to the house, and their wallet."""
    name = f"{uuid.uuid4().hex}@example.com"
    signed_up = cast.ask("nobody", "POST", "/v1/users", {"email": name, "password": OTHER_PASSWORD})
    token = cast.sign_in(name, OTHER_PASSWORD)["session_token"]
    cast.callers[name] = {"Authorization": f"Bearer {token}"}
    granted = cast.ask(
        "admin",
        "POST",
        "/v1/transfers",
        {"type": "grant", "user_id": signed_up.json()["user_id"], "amount_micro": credits * MICRO},
    )
    return name, str(granted.json()["wallet"])


def test_a_budget_is_made_once_seen_and_changed(cast: Cast) -> None:
    owner, wallet = _customer(cast)

    first = cast.ask(owner, "POST", "/v1/budgets", SHARE, Idempotency_Key="once")
    again = cast.ask(owner, "POST", "/v1/budgets", SHARE, Idempotency_Key="once")
    other = cast.ask(owner, "POST", "/v1/budgets", SHARE | {"kind": "run"}, Idempotency_Key="once")
    made = first.json()
    lifted = cast.ask(owner, "PATCH", f"/v1/budgets/{made['id']}", {"limit_micro": None})

    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert again.json() == made
    assert again.headers["Idempotent-Replayed"] == "true"
    assert made["id"].startswith(wallet.replace("wal", "bud") + "_")
    assert made["period_ends_at"].endswith("-01T00:00:00Z")
    assert {name: made[name] for name in SHARE} == SHARE
    assert (made["wallet"], made["parent"], made["app_id"]) == (wallet, None, None)
    assert (made["spent_micro"], made["held_micro"]) == (0, 0)
    assert (lifted.status_code, lifted.json()["limit_micro"]) == (200, None)


def test_a_budget_says_why_it_refuses(cast: Cast) -> None:
    owner, wallet = _customer(cast)
    made = cast.ask(owner, "POST", "/v1/budgets", SHARE).json()
    below = cast.ask("full app", "POST", "/v1/budgets", {"parent": made["id"], "name": "a run"}).json()
    named = {"wallet": wallet, "budget": below["id"]}

    spent = cast.ask("full app", "POST", "/v1/transfers", named | {"amount_micro": 4 * MICRO})
    held = cast.ask("full app", "POST", "/v1/holds", named | {"amount_micro": 5 * MICRO})
    refused = [
        cast.ask("full app", "POST", path, named | {"amount_micro": 2 * MICRO})
        for path in ("/v1/transfers", "/v1/holds")
    ]
    seen = cast.ask(owner, "GET", f"/v1/budgets/{made['id']}").json()

    assert (spent.status_code, held.status_code) == (201, 201)
    for answer in refused:
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (402, "budget_exceeded")
        assert (problem["budget"], problem["limit_micro"]) == (made["id"], 10 * MICRO)
        assert (problem["used_micro"], problem["requested_micro"]) == (9 * MICRO, 2 * MICRO)
        assert problem["period_ends_at"] == seen["period_ends_at"]
    assert (seen["spent_micro"], seen["held_micro"]) == (4 * MICRO, 5 * MICRO)


def test_a_cap_is_set_lifted_and_listed_by_the_customer(cast: Cast) -> None:
    owner, wallet = _customer(cast)
    cap = {"app_id": cast.apps["full app"], "limit_micro": 3 * MICRO}
    spend = {"wallet": wallet, "amount_micro": 2 * MICRO}

    made = cast.ask(owner, "PUT", "/v1/caps", cap).json()
    answers = [cast.ask("full app", "POST", "/v1/transfers", spend) for _ in range(2)]
    other = cast.ask("consume_credits app", "POST", "/v1/transfers", spend)
    listed = cast.ask(owner, "GET", "/v1/caps").json()["data"]
    lifted = cast.ask(owner, "PUT", "/v1/caps", cap | {"limit_micro": None}).json()
    after = cast.ask("full app", "POST", "/v1/transfers", spend)

    assert (made["app_id"], made["kind"], made["period"]) == (cap["app_id"], "cap", "month")
    assert [answer.status_code for answer in answers] == [201, 402]
    assert answers[1].json()["budget"] == made["id"]
    assert [(one["id"], one["spent_micro"]) for one in listed] == [(made["id"], 2 * MICRO)]
    assert (lifted["id"], lifted["limit_micro"]) == (made["id"], None)
    assert (other.status_code, after.status_code) == (201, 201)


def test_a_cap_holds_on_the_routes_of_the_old_documents_too(cast: Cast) -> None:
    owner, wallet = _customer(cast)
    cast.ask(owner, "PUT", "/v1/caps", {"app_id": cast.apps["full app"], "limit_micro": 3 * MICRO})
    user_id = cast.ask("admin", "GET", f"/v1/wallets/{wallet}").json()["owner"]["id"]

    answer = cast.ask("full app", "POST", f"/api/financial/credits/{user_id}/spend", {"credits": 4})

    assert (answer.status_code, answer.json()["code"]) == (402, "budget_exceeded")


def test_pages_lead_through_all_budgets(cast: Cast) -> None:
    owner, wallet = _customer(cast)
    made = [cast.ask(owner, "POST", "/v1/budgets", SHARE).json()["id"] for _ in range(5)]

    seen, cursor = [], ""
    while True:
        page = cast.ask(owner, "GET", f"/v1/budgets?wallet={wallet}&limit=2{cursor}").json()
        seen += [one["id"] for one in page["data"]]
        if not page["has_more"]:
            break
        cursor = f"&after={page['next_cursor']}"

    assert seen == made
    assert [one["id"] for one in cast.ask(owner, "GET", "/v1/budgets").json()["data"]] == made


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/budgets", SHARE | {"limit_micro": -1}),
        ("/v1/budgets", SHARE | {"limit_micro": 1.5}),
        ("/v1/budgets", SHARE | {"period": "year"}),
        ("/v1/budgets", SHARE | {"name": ""}),
        ("/v1/budgets", {"limit_micro": 5}),
        ("/v1/budgets", SHARE | {"wallet": "wal_1", "user_id": 1}),
        ("/v1/transfers", {"type": "grant", "amount_micro": 5, "budget": "bud_1_1"}),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(cast: Cast, path: str, body: dict[str, Any]) -> None:
    answer = cast.ask("ada", "POST", path, body)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")

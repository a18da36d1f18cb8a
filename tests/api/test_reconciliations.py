"""Reconciliations through the API, as an admin's console uses them; a worker runs what is asked for."""

from __future__ import annotations

import time
from typing import Any

from api.cast import Cast
from api.rows import a_finding

PATIENCE_SECONDS = 60.0


def ended(cast: Cast, reconciliation: str) -> dict[str, Any]:
    """A reconciliation as it ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = cast.ask("admin", "GET", f"/v1/reconciliations/{reconciliation}").json()
        assert isinstance(found, dict)
        if found["status"] in {"done", "failed"}:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def test_a_worker_runs_what_an_admin_asks_for(cast: Cast) -> None:
    asked = cast.ask("admin", "POST", "/v1/reconciliations", {"until": "2100-01-01T00:00:00Z"})

    assert asked.status_code == 202, asked.text
    found = ended(cast, asked.json()["id"])
    assert (found["status"], found["apply"], found["repaired"]) == ("done", False, 0)
    assert found["objects_compared"] > 0
    newest = cast.ask("admin", "GET", "/v1/reconciliations?limit=1").json()
    assert newest["data"][0]["id"] == found["id"]


def test_findings_are_listed_page_by_page_and_acknowledged(cast: Cast) -> None:
    (_, first), (_, second) = a_finding(cast.running.database), a_finding(cast.running.database)
    query = "/v1/reconciliations/findings?limit=1&code=granted_not_paid"

    page = cast.ask("admin", "GET", query).json()
    after = cast.ask("admin", "GET", f"{query}&after={page['next_cursor']}").json()
    done = cast.ask(
        "admin", "POST", f"/v1/reconciliations/findings/{second}/acknowledge", {"reason": "a gift"}
    )
    nobodys = cast.ask(
        "admin", "POST", "/v1/reconciliations/findings/fnd_999999/acknowledge", {"reason": "x"}
    )

    assert [one["id"] for one in page["data"] + after["data"]] == [second, first]
    assert (done.json()["status"], done.json()["reason"]) == ("acknowledged", "a gift")
    assert cast.ask("admin", "GET", query).json()["data"][0]["id"] == first
    assert nobodys.status_code == 404


def test_a_time_that_ends_before_it_begins_is_refused(cast: Cast) -> None:
    body = {"since": "2026-02-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}

    answer = cast.ask("admin", "POST", "/v1/reconciliations", body)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")

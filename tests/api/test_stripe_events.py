"""The inbox over HTTP: what an admin finds, sees, replays and gives up."""

from __future__ import annotations

from typing import Any

from api.cast import Cast


def _list(cast: Cast, **query: Any) -> Any:
    answer = cast._client().get("/v1/stripe-events", params=query, headers=cast.callers["admin"])
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_events_are_listed_page_by_page_and_filtered(cast: Cast) -> None:
    kind = "product.of_the_list"
    made = [cast.make_event(kind=kind) for _ in range(3)]

    first = _list(cast, type=kind, limit=2)
    second = _list(cast, type=kind, limit=2, after=first["next_cursor"])
    one = _list(cast, object=f"cus_{made[0]}", status="dead")
    nothing = _list(cast, type=kind, until="2020-01-01T00:00:00Z")

    assert [event["id"] for event in first["data"] + second["data"]] == made[::-1]
    assert (first["has_more"], second["has_more"], second["next_cursor"]) == (True, False, None)
    assert [event["id"] for event in one["data"]] == [made[0]]
    assert nothing["data"] == []


def test_a_filter_that_is_none_is_refused(cast: Cast) -> None:
    for query in ("status=lost", "since=2026-01-01T00:00:00", "limit=0", "limit=201", "typ=a", "type="):
        answer = cast.ask("admin", "GET", f"/v1/stripe-events?{query}")
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), query


def test_an_event_is_shown_with_its_payload_but_for_its_secrets(cast: Cast) -> None:
    event = cast.make_event()

    shown = cast.ask("admin", "GET", f"/v1/stripe-events/{event}").json()

    assert (shown["id"], shown["status"], shown["next_try_at"]) == (event, "dead", None)
    assert shown["payload"]["data"]["object"] == {
        "id": f"cus_{event}",
        "object": "customer",
        "client_secret": "[secret]",
    }
    assert shown["effects"] == {"acts": [], "transfers": [], "transfers_of_object": []}


def test_many_are_counted_in_a_dry_run_and_then_replayed(cast: Cast) -> None:
    kind = "product.of_the_replay"
    made = [cast.make_event("ignored", kind) for _ in range(3)]
    body = {"type": kind, "status": "ignored", "since": "2026-01-01T00:00:00+01:00"}

    counted = cast.ask("admin", "POST", "/v1/stripe-events/replay", body | {"dry_run": True}).json()
    untouched = [event["replays"] for event in _list(cast, type=kind)["data"]]
    done = cast.ask("admin", "POST", "/v1/stripe-events/replay", body).json()
    replayed = [event["replays"] for event in _list(cast, type=kind)["data"]]
    nothing = cast.ask("admin", "POST", "/v1/stripe-events/replay", {"type": "product.none"})
    unchosen = cast.ask("admin", "POST", "/v1/stripe-events/replay", {})
    dry = cast.ask("admin", "POST", "/v1/stripe-events/replay", {"dry_run": True})

    assert counted == {"matching": len(made), "replayed": 0, "dry_run": True}
    assert untouched == [0, 0, 0]
    assert done == {"matching": 3, "replayed": 3, "dry_run": False}
    assert replayed == [1, 1, 1]
    assert (nothing.status_code, nothing.json()["code"]) == (404, "event_not_found")
    assert {unchosen.status_code, dry.status_code} == {422}


def test_an_event_is_given_up_once_and_the_first_reason_stands(cast: Cast) -> None:
    event = cast.make_event()

    for reason in ("paid back by hand", "another"):
        given = cast.ask("admin", "POST", f"/v1/stripe-events/{event}/give-up", {"reason": reason})
        assert (given.status_code, given.json()["outcome"]) == (200, "given_up"), given.text
    acts = cast.ask("admin", "GET", f"/v1/stripe-events/{event}").json()["effects"]["acts"]

    assert [(act["action"], act["facts"], act["by_event"]) for act in acts] == [
        ("event.given_up", {"reason": "paid back by hand"}, False)
    ]
    assert acts[0]["actor"].startswith("admin ")


def test_what_is_settled_is_not_given_up(cast: Cast) -> None:
    event = cast.make_event("done")

    answer = cast.ask("admin", "POST", f"/v1/stripe-events/{event}/give-up", {"reason": "why not"})

    assert (answer.status_code, answer.json()["code"]) == (409, "event_settled")
    assert answer.json()["event_status"] == "done"


def test_giving_up_needs_a_reason(cast: Cast) -> None:
    event = cast.make_event()

    for body in ({}, {"reason": ""}, {"reason": "  "}, {"reason": 5}, {"reason": "a", "more": 1}):
        answer = cast.ask("admin", "POST", f"/v1/stripe-events/{event}/give-up", body)
        assert answer.status_code == 422, answer.text

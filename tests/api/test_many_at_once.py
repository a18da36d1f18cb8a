"""Many requests at once over HTTP: no credit is spent twice, no key acts twice, no webhook grants twice."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
import uuid
from collections import Counter
from typing import Any

import httpx
import psycopg
from api.cast import MICRO, Cast

PATHS = ("/api/stripe/webhook", "/api/credits/webhook", "/api/v1/webhooks/stripe")


def _all_at_once(cast: Cast, requests: list[httpx.Request]) -> list[httpx.Response]:
    async def run() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=50)
        async with httpx.AsyncClient(timeout=60, limits=limits) as client:
            return await asyncio.gather(*(client.send(request) for request in requests))

    return asyncio.run(run())


def _post(cast: Cast, caller: str, path: str, body: Any, key: str) -> httpx.Request:
    headers = {**cast.callers[caller], "Idempotency-Key": key}
    return httpx.Request("POST", cast.base_url + path, json=body, headers=headers)


def _customer(cast: Cast, credits: int) -> int:
    """A new customer with so many credits."""
    body = {"email": f"{uuid.uuid4().hex}@example.com", "password": "a password of the tests"}
    user_id = int(cast.ask("nobody", "POST", "/v1/users", body).json()["user_id"])
    if credits:
        grant = {"user_id": user_id, "type": "grant", "amount_micro": credits * MICRO}
        assert cast.ask("admin", "POST", "/v1/transfers", grant).status_code == 201
    return user_id


def _wallet(cast: Cast, user_id: int) -> dict[str, Any]:
    found = cast.ask("admin", "GET", f"/v1/wallets?user_id={user_id}").json()["data"][0]
    assert isinstance(found, dict)
    return found


def test_of_two_hundred_parallel_spends_on_a_hundred_credits_a_hundred_succeed(cast: Cast) -> None:
    user_id = _customer(cast, 100)
    body = {"user_id": user_id, "amount_micro": MICRO}
    requests = [_post(cast, "full app", "/v1/transfers", body, f"spend-{n}") for n in range(200)]

    answers = _all_at_once(cast, requests)

    assert Counter(answer.status_code for answer in answers) == {201: 100, 402: 100}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 402} == {
        "insufficient_credits"
    }
    after = [answer.json()["wallet_after"] for answer in answers if answer.status_code == 201]
    in_order = sorted(after, key=lambda balances: balances["version"])
    # The versions say in which order they happened, and each saw exactly what the one before had left.
    assert [one["version"] for one in in_order] == list(range(2, 102))
    assert [one["available_micro"] for one in in_order] == [n * MICRO for n in range(99, -1, -1)]
    assert _wallet(cast, user_id)["available_micro"] == 0


def test_spends_on_native_and_seed_routes_compete_for_the_same_credits(cast: Cast) -> None:
    user_id = _customer(cast, 30)
    native = {"user_id": user_id, "amount_micro": MICRO}
    requests = [
        _post(cast, "full app", "/v1/transfers", native, f"n-{n}")
        if n % 2
        else _post(cast, "full app", f"/api/financial/credits/{user_id}/spend", {"credits": 1}, f"s-{n}")
        for n in range(60)
    ]

    answers = _all_at_once(cast, requests)

    assert Counter(answer.status_code < 300 for answer in answers) == {True: 30, False: 30}
    assert {answer.status_code for answer in answers} <= {200, 201, 402}
    assert _wallet(cast, user_id)["available_micro"] == 0


def test_the_same_key_fifty_times_at_once_is_one_transfer_and_fifty_equal_answers(cast: Cast) -> None:
    user_id = _customer(cast, 100)
    body = {"user_id": user_id, "amount_micro": 7 * MICRO, "description": "once"}

    answers = _all_at_once(
        cast, [_post(cast, "full app", "/v1/transfers", body, "the-same") for _ in range(50)]
    )

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    replayed = Counter(answer.headers.get("Idempotent-Replayed") for answer in answers)
    assert replayed == {None: 1, "true": 49}
    assert _wallet(cast, user_id)["version"] == 2
    assert _wallet(cast, user_id)["available_micro"] == 93 * MICRO


def test_the_same_refused_key_fifty_times_at_once_is_refused_alike_also_after_a_grant(cast: Cast) -> None:
    user_id = _customer(cast, 1)
    body = {"user_id": user_id, "amount_micro": 2 * MICRO}
    requests = [_post(cast, "full app", "/v1/transfers", body, "too-much") for _ in range(50)]

    answers = _all_at_once(cast, requests)
    cast.ask(
        "admin", "POST", "/v1/transfers", {"user_id": user_id, "type": "grant", "amount_micro": 5 * MICRO}
    )
    late = cast.ask("full app", "POST", "/v1/transfers", body, Idempotency_Key="too-much")

    assert {answer.status_code for answer in answers} == {402}
    # What helps to pay is made anew each time; the refusal itself is one.
    helping = ("offers", "pay_url", "pay_url_reason", "resume_token")
    told = [
        {name: value for name, value in answer.json().items() if name not in helping}
        for answer in [*answers, late]
    ]
    assert all(one == told[0] for one in told)
    assert _wallet(cast, user_id)["available_micro"] == 6 * MICRO


def test_a_hold_is_settled_once_by_captures_and_releases_at_once(cast: Cast) -> None:
    user_id = _customer(cast, 10)
    body = {"user_id": user_id, "amount_micro": 10 * MICRO}
    hold = cast.ask("full app", "POST", "/v1/holds", body).json()["id"]
    requests = [
        _post(cast, "full app", f"/v1/holds/{hold}/capture", {"amount_micro": 4 * MICRO}, f"c-{n}")
        if n % 2
        else _post(cast, "full app", f"/v1/holds/{hold}/release", {}, f"r-{n}")
        for n in range(40)
    ]

    answers = _all_at_once(cast, requests)

    [won] = [answer.json() for answer in answers if answer.status_code == 200]
    assert {answer.json()["code"] for answer in answers if answer.status_code != 200} == {"hold_settled"}
    assert won["captured_micro"] + won["released_micro"] == 10 * MICRO
    wallet = _wallet(cast, user_id)
    assert (wallet["held_micro"], wallet["available_micro"]) == (0, 10 * MICRO - won["captured_micro"])


def test_the_same_webhook_fifty_times_at_once_on_three_paths_is_one_grant(cast: Cast) -> None:
    user_id = _customer(cast, 0)
    order = {
        "price": "package_starter",
        "success_url": "https://a.example/ok",
        "cancel_url": "https://a.example/no",
    }
    opened = cast.ask("full app", "POST", "/v1/checkouts", {**order, "user_id": user_id}).json()
    session = opened["stripe_session_id"]
    cast.running.sandbox.control(f"checkout/sessions/{session}/pay", card="4242424242424242")
    [event] = [
        event
        for event in cast.running.sandbox.http().get("/v1/events", params={"limit": 100}).json()["data"]
        if event["type"] == "checkout.session.completed" and event["data"]["object"]["id"] == session
    ]
    raw = json.dumps(event).encode()
    requests = [
        httpx.Request("POST", cast.base_url + PATHS[n % 3], content=raw, headers=_signed(cast, raw))
        for n in range(50)
    ]

    answers = _all_at_once(cast, requests)

    assert {answer.status_code for answer in answers} == {200}
    deadline = time.monotonic() + 20
    while cast.ask("admin", "GET", f"/v1/checkouts/{opened['id']}").json()["status"] != "paid":
        assert time.monotonic() < deadline, "the payment was not settled"
        time.sleep(0.1)
    wallet = _wallet(cast, user_id)
    assert (wallet["available_micro"], wallet["version"]) == (1000 * MICRO, 1)
    with psycopg.connect(cast.running.database.superuser_url) as connection:
        stored = connection.execute(
            "SELECT count(*) FROM tallybook.stripe_events WHERE event_id = %s", [event["id"]]
        ).fetchone()
    assert stored == (1,)


def _signed(cast: Cast, raw: bytes) -> dict[str, str]:
    secret = cast.running.service.env["STRIPE_WEBHOOK_SECRET"]
    stamp = int(time.time())
    mac = hmac.new(secret.encode(), f"{stamp}.".encode() + raw, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={stamp},v1={mac}", "Content-Type": "application/json"}

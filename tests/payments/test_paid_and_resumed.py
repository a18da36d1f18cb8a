"""The whole dance on a running service: refused, a link, paid, the webhook, and the same job goes on once."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from running_service import Running

pytestmark = pytest.mark.timeout(120)
JOB = {"Idempotency-Key": "job-1"}


def follow(running: Running, pay_url: str, offer: str) -> str:
    """Choose an offer on the link's page; gives the id of the session at Stripe."""
    answer = running.http().post(pay_url, data={"offer": offer})
    assert answer.status_code == 303, answer.text
    return urlsplit(answer.headers["Location"]).path.rpartition("/")[2]


def pay(running: Running, session_id: str, **how: Any) -> None:
    """Pay on the hosted page."""
    running.sandbox.control(f"checkout/sessions/{session_id}/pay", **(how or {"card": "4242424242424242"}))


def await_credits(running: Running) -> None:
    """Wait as an app would: by looking at the wallet."""
    deadline = time.monotonic() + 20
    while running.balance() == 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def sessions(running: Running) -> int:
    """How many sessions there are at Stripe: all of them, since other tests share the sandbox."""
    client = running.sandbox.client()
    return sum(1 for _ in client.v1.checkout.sessions.list({"limit": 100}).auto_paging_iter())


def all_at_once(running: Running, times: int, body: dict[str, Any], **headers: str) -> list[httpx.Response]:
    async def run() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=running.base_url, timeout=60) as client:
            merged = {"X-API-Key": running.api_key, **headers}
            posts = (client.post("/v1/transfers", json=body, headers=merged) for _ in range(times))
            return await asyncio.gather(*posts)

    return asyncio.run(run())


def test_refused_paid_and_resumed_by_fifty_at_once_is_booked_once(running: Running) -> None:
    app = running.as_app()
    body = {"user_id": running.user_id, "amount_micro": 7_000_000, "metadata": {"run": [1, 0.5]}}
    before = sessions(running)

    refusals = [app.post("/v1/transfers", json=body, headers=JOB).json() for _ in range(3)]
    pages = [running.http().get(refusal["pay_url"]) for refusal in refusals]
    untouched = sessions(running)
    session_id = follow(running, refusals[0]["pay_url"], "pack_100")
    early = app.post(
        "/v1/transfers", json=body, headers=JOB | {"Resume-Token": refusals[0]["resume_token"]}
    ).json()
    pay(running, session_id)
    await_credits(running)
    answers = all_at_once(running, 50, body, **JOB, **{"Resume-Token": early["resume_token"]})

    assert [page.status_code for page in pages] == [200] * 3
    assert untouched == before
    assert sessions(running) == before + 1
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert running.balance() == 93_000_000
    history = app.get(f"/v1/wallets/{answers[0].json()['wallet']}/transfers").json()["data"]
    assert [(line["kind"], line["idempotency_key"]) for line in history] == [
        ("spend", "job-1"),
        ("grant", None),
    ]


def test_the_way_back_settles_the_payment_without_the_webhook(running: Running) -> None:
    spend = {"credits": 5}
    path = f"/api/financial/credits/{running.user_id}/spend"
    refusal = running.as_app().post(path, json=spend).json()
    session_id = follow(running, refusal["pay_url"], "package_starter")
    running.sandbox.control("delivery/pause")
    try:
        waiting = running.http().get(f"{refusal['pay_url']}/done", params={"session_id": session_id})
        pay(running, session_id)
        back = running.http().get(f"{refusal['pay_url']}/done", params={"session_id": session_id})
        resumed = running.as_app().post(path, json=spend, headers={"Resume-Token": refusal["resume_token"]})
        link = running.http().get(refusal["pay_url"])
    finally:
        running.sandbox.control("delivery/resume")

    assert "Payment in progress" in waiting.text
    assert 'id="bought">1,000<' in back.text
    assert resumed.json()["new_balance"] == 995
    assert 'id="covered"' in link.text


def test_a_payment_that_takes_days_is_shown_as_on_its_way_and_not_asked_for_again(running: Running) -> None:
    app = running.as_app()
    refusal = app.post("/v1/holds", json={"user_id": running.user_id, "amount_micro": 1}, headers=JOB).json()
    session_id = follow(running, refusal["pay_url"], "pack_100")
    pay(running, session_id, method="bank")
    running.http().get(f"{refusal['pay_url']}/done", params={"session_id": session_id})

    again = running.http().post(refusal["pay_url"], data={"offer": "pack_100"}, follow_redirects=True)
    running.sandbox.control(f"checkout/sessions/{session_id}/settle", outcome="succeed")
    await_credits(running)
    held = app.post(
        "/v1/holds",
        json={"user_id": running.user_id, "amount_micro": 1},
        headers=JOB | {"Resume-Token": refusal["resume_token"]},
    )

    assert "Payment in progress" in again.text
    assert held.status_code == 201, held.text

"""Over HTTP, with a running service, worker and sandbox: the routes of the documents and the native ones."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import psycopg
import pytest
from running_service import Running

from payments.desk import signed

pytestmark = pytest.mark.timeout(120)
WEBHOOKS = ("/api/stripe/webhook", "/api/credits/webhook", "/api/v1/webhooks/stripe")
URLS = {"success_url": "https://yourapp.com/success", "cancel_url": "https://yourapp.com/cancel"}


def signed_in(running: Running) -> httpx.Client:
    """A client with the customer's session."""
    return running.http(Authorization=f"Bearer {running.sign_in()['session_token']}")


def pay(running: Running, session_id: str, **how: Any) -> None:
    """Pay on the hosted page."""
    how = how or {"card": "4242424242424242"}
    running.sandbox.control(f"checkout/sessions/{session_id}/pay", **how)


def await_credits(running: Running, credits: int) -> None:
    """Wait until the webhook and the worker have done their part."""
    deadline = time.monotonic() + 20
    while running.balance() != credits * 1_000_000:
        assert time.monotonic() < deadline, running.balance()
        time.sleep(0.05)


def test_document_000s_checkout_is_paid_and_brings_credits_by_webhook(running: Running) -> None:
    customer = signed_in(running)

    answer = customer.post(
        "/api/stripe/create-checkout-session",
        json={"price_id": "price_1234567890", "mode": "payment", **URLS},
    )

    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["success"] is True
    assert body["data"] == {"url": body["url"], "session_id": body["session_id"]}
    pay(running, body["session_id"])
    await_credits(running, 1000)


def test_document_002s_purchase_and_return_page_settle_without_the_webhook(running: Running) -> None:
    customer = signed_in(running)
    running.sandbox.control("delivery/pause")
    try:
        bought = customer.post("/api/credits/purchase", json={"package_id": 2, "payment_method": "stripe"})
        session_id = bought.json()["payment_url"].rpartition("/")[2]
        before = customer.get(f"/api/credits/session/{session_id}").json()
        pay(running, session_id)
        after = customer.get(f"/api/credits/session/{session_id}").json()
    finally:
        running.sandbox.control("delivery/resume")

    assert bought.json().keys() == {"success", "message", "payment_url"}
    assert (before["session"]["payment_status"], before["session"]["credits_added"]) == ("unpaid", False)
    assert after["success"] is True
    assert after["session"]["payment_status"] == "paid"
    assert after["session"]["amount_total"] == 4500
    assert after["session"]["metadata"]["user_id"] == str(running.user_id)
    assert running.balance() == 5500 * 1_000_000


def test_the_native_checkout_is_replayed_by_its_key_and_shows_its_transfer(running: Running) -> None:
    customer = signed_in(running)
    order = {"price": "pack_100", "quantity": 2, **URLS}
    key = {"Idempotency-Key": "order-7"}

    first = customer.post("/v1/checkouts", json=order, headers=key)
    again = customer.post("/v1/checkouts", json=order, headers=key)
    other = customer.post("/v1/checkouts", json=order | {"quantity": 3}, headers=key)
    without = customer.post("/v1/checkouts", json=order)
    pay(running, first.json()["stripe_session_id"])
    await_credits(running, 200)
    shown = customer.get(f"/v1/checkouts/{first.json()['id']}")

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json() == first.json()
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (without.status_code, without.json()["code"]) == (400, "idempotency_key_missing")
    assert (shown.json()["status"], shown.json()["credits_micro"]) == ("paid", 200_000_000)
    assert shown.json()["transfer"].startswith("trf_")


def test_products_are_public_and_carry_what_the_documents_print(running: Running) -> None:
    anyone = running.http()

    seed = anyone.get("/api/stripe/products").json()
    native = anyone.get("/v1/products").json()["data"]

    lines = [
        f"${price['amount'] / 100:.2f} for {price['credits']} credits"
        for product in seed
        for price in product["prices"]
    ]
    assert lines[:2] == ["$10.00 for 1000 credits", "$45.00 for 5500 credits"]
    assert len(lines) == len(native) == 12
    assert seed[0]["prices"][0]["id"] == native[0]["stripe_price_id"]
    assert [one["package_id"] for one in native[:5]] == [1, 2, 3, 4, 5]


def test_each_webhook_path_has_its_reply_and_one_event_on_all_three_grants_once(
    running: Running,
) -> None:
    customer, stripe = signed_in(running), running.http()
    opened = customer.post(
        "/api/stripe/create-checkout-session", json={"price_id": "pack_100", **URLS}
    ).json()
    pay(running, opened["session_id"])
    page = running.sandbox.http().get("/v1/events", params={"limit": 20}).json()["data"]
    event = next(e for e in page if e["data"]["object"]["id"] == opened["session_id"])
    raw = json.dumps(event).encode()
    headers = {"Stripe-Signature": signed(raw, secret=running.service.env["STRIPE_WEBHOOK_SECRET"])}

    replies = {path: stripe.post(path, content=raw, headers=headers) for path in WEBHOOKS}

    assert {path: reply.json() for path, reply in replies.items()} == {
        "/api/stripe/webhook": {"status": "success", "received": True},
        "/api/credits/webhook": {"success": True, "received": True},
        "/api/v1/webhooks/stripe": {"status": "success"},
    }
    await_credits(running, 100)
    time.sleep(0.5)
    assert running.balance() == 100_000_000


def deliver(running: Running, path: str, raw: bytes) -> int:
    """Deliver a webhook as Stripe does; gives the status of the answer."""
    headers = {"Stripe-Signature": signed(raw, secret=running.service.env["STRIPE_WEBHOOK_SECRET"])}
    return running.http().post(path, content=raw, headers=headers).status_code


def an_event(event_id: str, **changes: Any) -> dict[str, Any]:
    """An event about something of which we know nothing."""
    head = {"id": event_id, "object": "event", "type": "invoice.paid", "created": 1763700000}
    return head | {"livemode": False, "data": {"object": {"id": "in_of_nobody"}}} | changes


def test_pitfall_24_what_is_not_ours_is_taken_with_2xx_on_every_path(running: Running) -> None:
    """Stripe disables an endpoint that answers otherwise, and then ours are not delivered either."""
    foreign: dict[str, dict[str, Any]] = {
        "a type that we leave alone": {"type": "product.updated"},
        "a type that nobody has heard of": {"type": "moon.phase_changed"},
        "the other mode": {"livemode": True},
        "another account": {"account": "acct_somebody_else"},
        "an object of nobody": {},
        "an object without an id": {"data": {"object": {}}},
    }

    answers = {
        (path, name): deliver(running, path, json.dumps(an_event(f"evt_{place}_{number}", **what)).encode())
        for place, path in enumerate(WEBHOOKS)
        for number, (name, what) in enumerate(foreign.items())
    }

    assert {what: status for what, status in answers.items() if status != 200} == {}
    assert len(answers) == 18


def test_pitfall_25_a_signature_counts_for_the_bytes_as_they_came(running: Running) -> None:
    """Written anew from what was parsed, these bodies would be other ones."""
    subject = {"id": "prod_1", "object": "product", "name": "Café", "price": 1.0}
    sent = {
        path: json.dumps(
            an_event(f"evt_{place}", type="product.updated", data={"object": subject}),
            indent=3,
            ensure_ascii=bool(place),
        ).encode()
        for place, path in enumerate(WEBHOOKS)
    }

    answers = {path: deliver(running, path, raw) for path, raw in sent.items()}

    assert answers == dict.fromkeys(WEBHOOKS, 200)
    with psycopg.connect(running.database.superuser_url) as connection:
        stored = connection.execute("SELECT raw FROM tallybook.stripe_events ORDER BY event_id").fetchall()
    assert [row[0] for row in stored] == list(sent.values())


@pytest.mark.parametrize("path", ["/api/stripe/webhook", "/api/credits/webhook"])
def test_a_webhook_that_is_not_believed_is_refused_with_its_code(running: Running, path: str) -> None:
    stripe = running.http()
    secret = running.service.env["STRIPE_WEBHOOK_SECRET"]
    large = b'{"object": "event", "x": "' + b"x" * 300_000 + b'"}'
    tries = {
        "no header": (b"{}", {}),
        "forged": (b"{}", {"Stripe-Signature": signed(b"{}", secret="guessed")}),
        "no json": (b"{", {"Stripe-Signature": signed(b"{", secret=secret)}),
        "large": (large, {"Stripe-Signature": signed(large, secret=secret)}),
    }

    answers = {
        name: stripe.post(path, content=raw, headers=headers) for name, (raw, headers) in tries.items()
    }
    got = stripe.get(path)

    assert {name: (a.status_code, a.json()["code"]) for name, a in answers.items()} == {
        "no header": (400, "webhook_signature_invalid"),
        "forged": (400, "webhook_signature_invalid"),
        "no json": (400, "webhook_payload_invalid"),
        "large": (413, "request_too_large"),
    }
    assert got.status_code == 405


def test_the_webhook_health_says_what_is_configured_and_no_secret(running: Running) -> None:
    answer = running.http().get("/api/v1/webhooks/health")

    assert answer.json()["status"] == "healthy"
    assert answer.json()["webhook_secret_configured"] is True
    for secret in ("STRIPE_WEBHOOK_SECRET", "STRIPE_SECRET_KEY"):
        assert running.service.env[secret] not in answer.text


def test_bad_orders_are_refused_with_a_code_and_change_nothing(running: Running) -> None:
    customer, anyone = signed_in(running), running.http()
    good = {"price_id": "pack_100", **URLS}
    path = "/api/stripe/create-checkout-session"
    tries: list[tuple[httpx.Client, dict[str, Any], int, str]] = [
        (anyone, good, 401, "authentication_required"),
        (customer, good | {"price_id": "price_none"}, 404, "price_not_found"),
        (customer, good | {"mode": "subscription"}, 422, "mode_mismatch"),
        (customer, good | {"success_url": "javascript:alert(1)"}, 422, "url_not_allowed"),
        (customer, good | {"quantity": 0}, 422, "invalid_request"),
        (customer, good | {"quantity": True}, 422, "invalid_request"),
        (customer, good | {"surprise": 1}, 422, "invalid_request"),
        (customer, good | {"user_id": 999}, 403, "permission_denied"),
    ]

    answers = [(client.post(path, json=body), status, code) for client, body, status, code in tries]
    paypal = customer.post("/api/credits/purchase", json={"package_id": 1, "payment_method": "paypal"})
    strange = customer.get("/api/credits/session/cs_test_of_somebody_else")

    for answer, status, code in answers:
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert answer.json()["detail"]
    assert (paypal.status_code, paypal.json()["error"]["code"]) == (422, "payment_method_unsupported")
    assert (strange.status_code, strange.json()["success"]) == (404, False)


def test_the_seed_routes_of_subscriptions_answer_as_their_documents_say(running: Running) -> None:
    customer = signed_in(running)

    begun = customer.post(
        "/api/stripe/create-subscription", json={"price_id": "plan_starter", "user_id": running.user_id}
    )
    mine = customer.get("/api/stripe/user-subscriptions")
    by_id = customer.get(f"/api/stripe/subscriptions/{running.user_id}")
    before = customer.get(f"/api/financial/subscriptions/{running.user_id}/summary")
    gone = customer.delete(f"/api/stripe/subscriptions/{begun.json()['subscription_id']}")
    again = customer.delete(f"/api/stripe/subscriptions/{begun.json()['subscription_id']}")

    assert begun.status_code == 200, begun.text
    answer = begun.json()
    assert (answer["success"], answer["status"]) == (True, "incomplete")
    assert answer["client_secret"] == answer["data"]["client_secret"]
    assert answer["data"]["amount"] == 999
    assert mine.json() == by_id.json()
    assert [one["id"] for one in mine.json()["data"]] == [answer["subscription_id"]]
    assert before.json()["has_active_subscription"] is False
    assert (gone.status_code, gone.json()["success"]) == (200, True)
    assert gone.json()["data"]["status"] in {"canceled", "incomplete_expired"}
    assert (again.status_code, again.json()["code"]) == (409, "subscription_state")


def test_a_checkout_in_subscription_mode_leads_to_stripes_page(running: Running) -> None:
    customer = signed_in(running)
    body = {"price_id": "plan_starter", "mode": "subscription", "user_id": running.user_id, **URLS}

    opened = customer.post("/api/stripe/create-checkout-session", json=body)
    session = running.sandbox.http().get(f"/v1/checkout/sessions/{opened.json()['session_id']}").json()

    assert opened.status_code == 200, opened.text
    assert opened.json()["data"]["url"] == session["url"]
    assert session["mode"] == "subscription"

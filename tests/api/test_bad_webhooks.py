"""Webhooks that are not believed, on all three paths: refused with a code, and nothing is stored."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from api.cast import Cast
from api.conftest import Staging

PATHS = ("/api/stripe/webhook", "/api/credits/webhook", "/api/v1/webhooks/stripe")


def _event(**changes: Any) -> bytes:
    event = {
        "id": f"evt_{uuid.uuid4().hex}",
        "object": "event",
        "type": "checkout.session.completed",
        "livemode": False,
        "created": int(time.time()),
        "data": {"object": {"id": "cs_test_forged", "object": "checkout.session", "payment_status": "paid"}},
    }
    return json.dumps(event | changes).encode()


def _signature(raw: bytes, secret: str, seconds: int = 0) -> str:
    stamp = int(time.time()) + seconds
    mac = hmac.new(secret.encode(), f"{stamp}.".encode() + raw, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={mac}"


def _stored(cast: Cast) -> tuple[Any, ...]:
    with psycopg.connect(cast.running.database.superuser_url) as connection:
        row = connection.execute(
            "SELECT count(*), coalesce(sum(deliveries), 0) FROM tallybook.stripe_events"
        ).fetchone()
    assert row is not None
    return row


@pytest.fixture
def nothing_stored(cast: Cast) -> Iterator[None]:
    """No event more, no row more."""
    before = (_stored(cast), cast.state())
    yield
    assert (_stored(cast), cast.state()) == before


def _send(cast: Cast, path: str, raw: Any, signature: str | None) -> tuple[int, str]:
    headers = {"Content-Type": "application/json"}
    if signature is not None:
        headers["Stripe-Signature"] = signature
    answer = cast.send("POST", path, raw, headers)
    body = answer.json()
    assert "detail" in body or "error" in body
    assert answer.headers["Request-Id"]
    return answer.status_code, body["code"]


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("path", PATHS)
def test_a_signature_that_proves_nothing_is_400(cast: Cast, path: str) -> None:
    secret = cast.running.service.env["STRIPE_WEBHOOK_SECRET"]
    raw = _event()
    good = _signature(raw, secret)
    stamp, _, mac = good.partition(",v1=")

    for signature in (
        None, "", "nonsense", "t=,v1=", "t=abc,v1=" + mac, stamp, f"v1={mac}", f"{stamp},v1=", f"{stamp},v0={mac}",
        f"{stamp},v1={mac[:-1]}", f"{stamp},v1={'0' * 64}", f"{stamp},{stamp},v1={mac}", f"{stamp},v1={mac.upper()}",
        _signature(raw, "somebody-elses"), _signature(raw, ""), _signature(raw + b" ", secret), "t=" + "9" * 40,
        _signature(raw, secret, -400), _signature(raw, secret, 400), _signature(raw, secret, 10 * 365 * 86400),
        _signature(raw, secret, -(10**9)), good * 500,
    ):  # fmt: skip
        assert _send(cast, path, raw, signature) == (400, "webhook_signature_invalid"), signature


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("path", PATHS)
def test_a_signed_body_that_is_no_event_is_400(cast: Cast, path: str) -> None:
    secret = cast.running.service.env["STRIPE_WEBHOOK_SECRET"]

    for raw in (
        b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, _event(id=7), _event(id="evt_\x00"), _event(type=""),
        _event(created="now"), _event(livemode="no"), _event(data={}), _event(object="v2.core.event"),
    ):  # fmt: skip
        found = _send(cast, path, raw, _signature(raw, secret))
        assert found == (400, "webhook_payload_invalid"), raw[:40]


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("path", PATHS)
def test_a_body_over_the_limit_is_413(cast: Cast, path: str) -> None:
    secret = cast.running.service.env["STRIPE_WEBHOOK_SECRET"]

    for size in (256 * 1024, 10 * 1024 * 1024):
        raw = _event(padding="x" * size)
        pieces = (raw[at : at + 65536] for at in range(0, len(raw), 65536))
        assert _send(cast, path, raw, _signature(raw, secret)) == (413, "request_too_large")
        assert _send(cast, path, pieces, _signature(raw, secret)) == (413, "request_too_large")


@pytest.mark.parametrize("path", PATHS)
def test_a_webhook_that_is_in_order_is_stored_once(cast: Cast, path: str) -> None:
    """Else the refusals above could be for another reason."""
    raw = _event(type="product.updated")
    signature = _signature(raw, cast.running.service.env["STRIPE_WEBHOOK_SECRET"])
    events, _ = _stored(cast)

    for _ in range(3):
        headers = {"Content-Type": "application/json", "Stripe-Signature": signature}
        assert cast.send("POST", path, raw, headers).status_code == 200

    assert _stored(cast)[0] == events + 1


@pytest.mark.parametrize("empty", ["", ","])
def test_without_a_secret_nothing_is_believed_and_nothing_stored(staging: Staging, empty: str) -> None:
    with staging(STRIPE_WEBHOOK_SECRET=empty) as cast:
        raw = _event()
        before = _stored(cast)

        for path in PATHS:
            for signature in (_signature(raw, ""), _signature(raw, empty), None):
                answer = cast.send("POST", path, raw, {"Stripe-Signature": signature} if signature else {})
                assert (answer.status_code, answer.json()["code"]) == (503, "webhook_secret_missing")
                assert answer.headers["Retry-After"]

        assert _stored(cast) == before
        assert cast.ask("nobody", "GET", "/api/v1/webhooks/health").json()["status"] == "unconfigured"

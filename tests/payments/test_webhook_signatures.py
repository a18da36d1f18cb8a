"""Which webhooks are believed: signature, time stamp, secrets, and bodies that are no events."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe

from payments.desk import signed
from tallybook.domain.errors import (
    WebhookPayloadError,
    WebhookSecretMissingError,
    WebhookSignatureError,
)
from tallybook.stripe.events import verify

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECRETS = ("new-secret", "old-secret")
EVENT: dict[str, Any] = {
    "id": "evt_1",
    "object": "event",
    "type": "checkout.session.completed",
    "api_version": "2026-10-28.endive",
    "livemode": False,
    "created": 1763700000,
    "data": {"object": {"id": "cs_test_1", "object": "checkout.session", "customer": "cus_1"}},
}
RAW = json.dumps(EVENT).encode()


def test_a_signed_event_is_read() -> None:
    event = verify(RAW, signed(RAW, secret="new-secret", at=NOW), SECRETS, NOW)

    assert (event.event_id, event.type, event.object_id) == (
        "evt_1",
        "checkout.session.completed",
        "cs_test_1",
    )
    assert (event.customer_id, event.livemode, event.raw) == ("cus_1", False, RAW)


def test_the_sdks_own_signature_is_believed() -> None:
    stamp = int(NOW.timestamp())
    mac = stripe.WebhookSignature._compute_signature(f"{stamp}.{RAW.decode()}", "new-secret")

    assert verify(RAW, f"t={stamp},v1={mac}", SECRETS, NOW).event_id == "evt_1"


def test_while_secrets_rotate_either_is_believed_and_either_of_two_signatures() -> None:
    old = signed(RAW, secret="old-secret", at=NOW)
    both = signed(RAW, secret="unknown", at=NOW) + ",v1=" + old.partition("v1=")[2]

    for header in (old, both, both + ",v0=ffff"):
        assert verify(RAW, header, SECRETS, NOW).event_id == "evt_1"


@pytest.mark.parametrize("seconds", [-301, 301, 3600, -(10**9), 10 * 365 * 86400])
def test_a_time_stamp_too_old_or_in_the_future_is_refused(seconds: int) -> None:
    header = signed(RAW, secret="new-secret", at=NOW + timedelta(seconds=seconds))

    with pytest.raises(WebhookSignatureError, match="300 seconds"):
        verify(RAW, header, SECRETS, NOW)


@pytest.mark.parametrize("seconds", [-300, 300])
def test_a_time_stamp_at_the_edge_is_taken(seconds: int) -> None:
    header = signed(RAW, secret="new-secret", at=NOW + timedelta(seconds=seconds))

    assert verify(RAW, header, SECRETS, NOW).event_id == "evt_1"


@pytest.mark.parametrize("secrets", [(), ("",), ("", "")])
def test_without_a_secret_nothing_is_believed(secrets: tuple[str, ...]) -> None:
    with pytest.raises(WebhookSecretMissingError):
        verify(RAW, signed(RAW, secret="", at=NOW), secrets, NOW)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        "t=,v1=",
        "t=abc,v1=" + "0" * 64,
        f"t={int(NOW.timestamp())}",
        f"t={int(NOW.timestamp())},v1=" + "0" * 64,
        f"t={int(NOW.timestamp())},v1=zz",
        f"t={int(NOW.timestamp())},t=1,v1=" + "0" * 64,
        f"t=-{int(NOW.timestamp())},v1=" + "0" * 64,
        "t=" + "9" * 40 + ",v1=" + "0" * 64,
        f"t={int(NOW.timestamp())}," + ",".join(["v1=" + "0" * 64] * 100),
    ],
)
def test_a_header_that_is_missing_or_malformed_is_refused_before_the_body_is_read(
    header: str | None,
) -> None:
    with pytest.raises(WebhookSignatureError):
        verify(b"{not even json", header, SECRETS, NOW)


def test_a_changed_byte_is_refused() -> None:
    with pytest.raises(WebhookSignatureError):
        verify(RAW + b" ", signed(RAW, secret="new-secret", at=NOW), SECRETS, NOW)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"[" * 100_000,
        json.dumps(EVENT | {"created": float("nan")}).encode(),
        json.dumps(EVENT | {"object": "v2.core.event"}).encode(),
        json.dumps(EVENT | {"data": {"object": "cs_1"}}).encode(),
        json.dumps(EVENT | {"id": 7}).encode(),
        json.dumps(EVENT | {"id": "evt_\x00"}).encode(),
        json.dumps(EVENT | {"type": ""}).encode(),
        json.dumps(EVENT | {"created": True}).encode(),
        json.dumps(EVENT | {"created": 10**30}).encode(),
        json.dumps(EVENT | {"livemode": "false"}).encode(),
    ],
)
def test_a_signed_body_that_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(WebhookPayloadError):
        verify(body, signed(body, secret="new-secret", at=NOW), SECRETS, NOW)

"""The requests to the webhook paths that both roads are asked, good and bad; signed for a clock that stands still."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from api.asks import Ask
from databases import FrozenClock

from tallybook.api.limits import BODY_BYTES_MAX
from tallybook.usecases.intake import BODY_BYTES_MAX as EVENT_BYTES_MAX

SECRET = "a signing secret of the tests"
STRIPE, CREDITS, V1 = "/api/stripe/webhook", "/api/credits/webhook", "/api/v1/webhooks/stripe"
NOW = int(FrozenClock().now.timestamp())
EVENT: dict[str, Any] = {
    "id": "evt_1",
    "object": "event",
    "type": "charge.succeeded",
    "livemode": False,
    "created": NOW,
    "data": {"object": {"id": "ch_1", "object": "charge", "description": "Druck für Zoë"}},
}


def signed(text: str, *, secret: str = SECRET, at: int = NOW) -> tuple[tuple[str, str], ...]:
    """The header that Stripe sends with a body."""
    code = hmac.new(secret.encode(), f"{at}.{text}".encode(), hashlib.sha256).hexdigest()
    return (("stripe-signature", f"t={at},v1={code}"),)


def event(name: str, more: Any = None, **rest: Any) -> Ask:
    """An event that is signed well, unless told otherwise."""
    text = json.dumps(EVENT | (more or {}), ensure_ascii=False)
    given = {"name": name, "path": STRIPE, "caller": "nobody", "text": text, "headers": signed(text), **rest}
    return Ask(**given)


def padded(size: int) -> dict[str, Any]:
    """What makes an event larger than so many bytes."""
    return {"id": "evt_large", "data": {"object": {"padding": "x" * size}}}


WEBHOOKS = [
    event("event"),
    event("event again"),
    event("event of the seeds' second path", {"id": "evt_2"}, path=CREDITS),
    event("event of the versioned path", {"id": "evt_3"}, path=V1),
    event("event to work on", {"id": "evt_4", "type": "checkout.session.completed"}),
    event("event of the other mode", {"id": "evt_5", "livemode": True}),
    event("event in two parts", {"id": "evt_6"}, in_two=True),
    event(
        "event as Stripe types it",
        {"id": "evt_7"},
        typed=[("content-type", "application/json; charset=utf-8")],
    ),
    event("event, unsigned", headers=()),
    event("event, forged", headers=signed("{}", secret="nobody's")),
    event("event, not signed at all", headers=(("stripe-signature", "gibberish"),)),
    event("event, old", headers=signed(json.dumps(EVENT, ensure_ascii=False), at=NOW - 301)),
    event("event, not JSON", text="{", headers=signed("{")),
    event("event, empty", text="", headers=signed("")),
    event("event, none", {"object": "charge"}),
    event("event, large", padded(EVENT_BYTES_MAX)),
    event("event, larger than all", padded(BODY_BYTES_MAX), thin=False),
    event("event, signed twice", headers=signed("a") * 2, thin=False),
    event(
        "event from a browser",
        {"id": "evt_8"},
        caller="nobody",
        headers=(("origin", "https://x.example"),),
        thin=False,
    ),
    event("event, typed otherwise", {"id": "evt_9"}, typed=[("content-type", "text/plain")], thin=False),
    event("event of unknown length", {"id": "evt_10"}, length=False, thin=False),
    event("event with a query", {"id": "evt_11"}, query="x=1", thin=False),
    Ask(name="webhook, GET", method="GET", path=STRIPE, caller="nobody", thin=False),
]

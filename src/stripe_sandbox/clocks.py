"""Whose time it is: a customer on a test clock lives at that clock's time, all others in real time.

Source: docs.stripe.com/billing/testing/test-clocks. Leaves advancing a clock to ``timekeeper``.
"""

from dataclasses import replace

from stripe_sandbox.call import Call
from stripe_sandbox.kinds import Json

KIND = "test_helpers.test_clock"
_NAMED = (
    "customer",
    "subscription",
    "invoice",
    "payment_intent",
    "charge",
    "payment_method",
    "test_clock",
    "from_subscription",
)
"""Parameters that name an object of one customer."""


def at(call: Call, body: Json | None) -> Call:
    """Return the call at the time of the customer that an object belongs to."""
    clock_id = _clock_of(call, body)
    clock = call.store.get(clock_id, KIND) if clock_id else None
    if clock is None or clock.get("deleted"):
        return call
    return replace(call, now=int(clock["frozen_time"]), clock=clock["id"])


def of_request(call: Call) -> Call:
    """Return the call at the time of the customer that a request is about."""
    named = [call.params.get(name) for name in _NAMED]
    for object_id in (*named, *call.ids):
        if isinstance(object_id, str) and object_id:
            found = at(call, call.store.get(object_id))
            if found.clock:
                return found
    return call


def _clock_of(call: Call, body: Json | None) -> str | None:
    if body is None or body.get("deleted"):
        return None
    if body.get("object") == KIND:
        return str(body["id"])
    if "customer" not in body and isinstance(body.get("charge"), str):
        body = call.store.get(body["charge"], "charge") or {}
    clock_id = body.get("test_clock")
    if clock_id is None and isinstance(body.get("customer"), str):
        customer = call.store.get(body["customer"], "customer") or {}
        clock_id = customer.get("test_clock")
    return str(clock_id) if clock_id else None

"""Moves a setup intent from state to state: a payment method is checked and saved, no money is taken.

A method that was set up needs no 3-D Secure off session where the test card says so. Leaves sessions in setup
mode to ``checkout`` and HTTP to ``api``.
"""

from dataclasses import dataclass

from stripe_sandbox import cards, payment
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import setups

_SAVED_BUT_FAILS = "4000000000000341"


@dataclass(frozen=True)
class Attempt:
    """How a confirmation ended: the intent as it is now, and the refusal if there was one."""

    intent: Json
    error: ApiError | None = None


def create(call: Call, fields: Json, notes: Json) -> Json:
    """Write down a setup intent."""
    return call.add(setups.setup_intent(call.now, fields), "setup_intent.created", private=notes)


def confirm(call: Call, intent: Json, method: Json) -> Attempt:
    """Check a payment method, and save it to the intent's customer."""
    if method["type"] not in intent["payment_method_types"]:
        raise payment.not_allowed(intent, method)
    intent = intent | {"payment_method": method["id"], "last_setup_error": None, "next_action": None}
    if method["type"] != "card":
        return Attempt(_succeed(call, intent, method))
    card = cards.by_number(call.store.private(method["id"])["number"])
    if card.authenticates:
        return Attempt(_ask(call, intent))
    refused = None if card.number == _SAVED_BUT_FAILS else cards.decline(card)
    if refused is not None:
        return Attempt(_fail(call, intent, method, refused), refused)
    return Attempt(_succeed(call, intent, method))


def authenticate(call: Call, intent: Json, *, passed: bool) -> Attempt:
    """End a 3-D Secure step; the intent must be waiting for it."""
    assert intent["status"] == "requires_action", intent["id"]
    method = call.need("payment_method", intent["payment_method"])
    intent = intent | {"next_action": None}
    if passed:
        return Attempt(_succeed(call, intent, method))
    refusal = cards.authentication_failed()
    refusal.code = "setup_intent_authentication_failure"
    return Attempt(_fail(call, intent, method, refusal), refusal)


def cancel(call: Call, intent: Json, reason: str | None) -> Json:
    """Cancel an intent that has not ended."""
    if intent["status"] in payment.FINAL:
        message = f"You cannot cancel this SetupIntent because it has a status of {intent['status']}."
        raise ApiError(message, code="setup_intent_unexpected_state")
    body = intent | {"status": "canceled", "cancellation_reason": reason, "next_action": None}
    return call.save(body, "setup_intent.canceled")


def _succeed(call: Call, intent: Json, method: Json) -> Json:
    call.store.note(method["id"], set_up=True)
    if intent["customer"]:
        payment.attach(call, method, intent["customer"])
    return call.save(intent | {"status": "succeeded"}, "setup_intent.succeeded")


def _fail(call: Call, intent: Json, method: Json, refusal: ApiError) -> Json:
    error = refusal.body()["error"] | {"payment_method": method}
    body = intent | {"status": "requires_payment_method", "payment_method": None, "last_setup_error": error}
    return call.save(body, "setup_intent.setup_failed")


def _ask(call: Call, intent: Json) -> Json:
    notes = call.store.private(intent["id"])
    step = {"return_url": notes.get("return_url"), "url": f"{call.base_url}/3ds/{intent['id']}"}
    action = {"redirect_to_url": step, "type": "redirect_to_url"}
    body = intent | {"status": "requires_action", "next_action": action}
    return call.save(body, "setup_intent.requires_action")

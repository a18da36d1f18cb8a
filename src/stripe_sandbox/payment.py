"""Moves a payment intent from state to state: charged, declined, authenticated, settled.

Every function works inside the caller's transaction and writes the events of stripe.com's
payment flow. Leaves checkout sessions to ``checkout`` and HTTP to ``api``.
"""

from dataclasses import dataclass

from stripe_sandbox import alarms, banks, cards
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError, CardError
from stripe_sandbox.ids import random_text
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import methods, payments

FINAL = frozenset({"succeeded", "canceled"})
CONFIRMABLE = frozenset({"requires_payment_method", "requires_confirmation", "requires_action"})

SETTLE = "payment_intent.settle"
_FEE_PER_MILLE = 29
_FEE_FIXED = 30


@dataclass(frozen=True)
class Attempt:
    """How a confirmation ended: the intent as it is now, and the refusal if there was one."""

    intent: Json
    error: ApiError | None = None


def new_card(call: Call, card: cards.TestCard, look: Json, billing: Json | None = None) -> Json:
    """Write down a card payment method; which test card it is stays private."""
    body = methods.card_method(call.now, look, billing)
    return call.add(body, private={"number": card.number})


def new_bank(call: Call, currency: str, billing: Json | None = None, iban: str = "") -> Json:
    """Write down a bank debit in the scheme of the currency; how a test account's debits end stays private."""
    body = methods.bank_method(call.now, bank_scheme(currency), billing)
    if not iban:
        return call.add(body)
    body["sepa_debit"] |= banks.details(iban)
    return call.add(body, private=banks.debit(iban).note())


def bank_scheme(currency: str) -> str:
    """Return the delayed payment method offered for a currency."""
    return "sepa_debit" if currency == "eur" else "us_bank_account"


def confirm(call: Call, intent: Json, method: Json, *, off_session: bool = False) -> Attempt:
    """Try to take the money with a payment method."""
    if method["type"] not in intent["payment_method_types"]:
        raise not_allowed(intent, method)
    intent = intent | {
        "payment_method": method["id"],
        "last_payment_error": None,
        "next_action": None,
        "status": "requires_confirmation",
    }
    if method["type"] != "card":
        return Attempt(_process(call, intent, method))
    card = cards.by_number(call.store.private(method["id"])["number"])
    asks = card.authenticates and not (card.once and call.store.private(method["id"]).get("set_up"))
    if asks and off_session:
        message = "Your card was declined. This transaction requires authentication."
        refusal = CardError(message, code="authentication_required", decline_code="authentication_required")
        return Attempt(_decline(call, intent, method, refusal), refusal)
    if asks:
        return Attempt(_ask_for_authentication(call, intent))
    refused = cards.decline(card)
    if refused is not None:
        return Attempt(_decline(call, intent, method, refused), refused)
    return Attempt(_succeed(call, intent, method))


def not_allowed(intent: Json, method: Json) -> ApiError:
    """Return the refusal of a payment method whose type the intent does not take."""
    allowed = ", ".join(intent["payment_method_types"])
    message = (
        f"The PaymentMethod provided ({method['type']}) is not allowed for this intent. "
        f"Please attach a PaymentMethod of one of these types: {allowed}."
    )
    return ApiError(message, param="payment_method")


def authenticate(call: Call, intent: Json, *, passed: bool) -> Attempt:
    """End a 3-D Secure step; the intent must be waiting for it."""
    assert intent["status"] == "requires_action", intent["id"]
    method = call.need("payment_method", intent["payment_method"])
    intent = intent | {"next_action": None}
    if passed:
        return Attempt(_succeed(call, intent, method, authenticated=True))
    refusal = cards.authentication_failed()
    intent |= {
        "status": "requires_payment_method",
        "payment_method": None,
        "last_payment_error": _last_error(refusal, method, charge=None),
    }
    call.save(intent, "payment_intent.payment_failed")
    return Attempt(intent, refusal)


def settle(call: Call, intent: Json, *, paid: bool) -> Attempt:
    """End a delayed payment; the intent must be processing."""
    if intent["status"] != "processing":
        message = f"The payment {intent['id']} is {intent['status']}, not processing."
        raise ApiError(message, code="payment_intent_unexpected_state")
    method = call.need("payment_method", intent["payment_method"])
    charge = call.need("charge", intent["latest_charge"])
    if paid:
        return Attempt(_succeed(call, intent, method, charge=charge))
    refusal = CardError(
        "The customer's bank account could not be debited.", code="payment_method_provider_decline"
    )
    refusal.kind = "invalid_request_error"
    return Attempt(_decline(call, intent, method, refusal, charge=charge), refusal)


def cancel(call: Call, intent: Json, reason: str | None) -> Json:
    """Cancel an intent that has not ended."""
    if intent["status"] in FINAL or intent["status"] == "processing":
        message = f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}."
        raise ApiError(message, code="payment_intent_unexpected_state")
    body = intent | {
        "status": "canceled",
        "canceled_at": call.now,
        "cancellation_reason": reason,
        "next_action": None,
    }
    return call.save(body, "payment_intent.canceled")


def attach(call: Call, method: Json, customer_id: str) -> Json:
    """Bind a payment method to a customer."""
    if method["customer"] == customer_id:
        return method
    if method["customer"] is not None:
        message = "The payment method you provided has already been attached to a customer."
        raise ApiError(message, code="payment_method_already_attached")
    return call.save(method | {"customer": customer_id}, "payment_method.attached")


def detach(call: Call, method: Json) -> Json:
    """Let go of a payment method; it is nobody's default any more."""
    customer = call.store.get(method["customer"], "customer")
    settings = (customer or {}).get("invoice_settings", {})
    if customer and settings.get("default_payment_method") == method["id"]:
        after = customer | {"invoice_settings": settings | {"default_payment_method": None}}
        call.save(after, "customer.updated", customer)
    return call.save(method | {"customer": None}, "payment_method.detached", method)


def _succeed(
    call: Call,
    intent: Json,
    method: Json,
    *,
    charge: Json | None = None,
    authenticated: bool = False,
) -> Json:
    fields: Json = {
        "status": "succeeded",
        "paid": True,
        "captured": True,
        "amount_captured": intent["amount"],
        "outcome": payments.outcome({}),
    }
    if charge is None:
        charge = payments.charge(call.now, intent, method, fields)
        charge["receipt_url"] = f"{call.base_url}/receipts/{charge['id']}"
        call.store.add(charge, created=call.now)
    else:
        charge |= fields | {"receipt_url": f"{call.base_url}/receipts/{charge['id']}"}
    if authenticated:
        charge["payment_method_details"]["card"]["three_d_secure"] = _three_d_secure()
    fee = min(intent["amount"], intent["amount"] * _FEE_PER_MILLE // 1000 + _FEE_FIXED)
    entry = payments.balance_transaction(call.now, charge, amount=intent["amount"], fee=fee)
    charge["balance_transaction"] = call.add(entry)["id"]
    call.save(charge, "charge.succeeded")
    _announce_dispute(call, charge, method)
    if intent["setup_future_usage"]:
        call.store.note(method["id"], set_up=True)
    if intent["setup_future_usage"] and intent["customer"]:
        attach(call, method, intent["customer"])
    intent = intent | {
        "status": "succeeded",
        "amount_received": intent["amount"],
        "latest_charge": charge["id"],
        "processing": None,
    }
    return call.save(intent, "payment_intent.succeeded")


def _announce_dispute(call: Call, charge: Json, method: Json) -> None:
    """Set the dispute that follows each charge of some test cards."""
    number = call.store.private(method["id"]).get("number")
    reason = cards.by_number(number).disputed if number else None
    if reason:
        call.store.note(charge["id"], disputed=reason)
        alarms.put(call, charge["id"], "charge.dispute", call.now)


def _three_d_secure() -> Json:
    return {
        "authentication_flow": "challenge",
        "electronic_commerce_indicator": "05",
        "exemption_indicator": None,
        "result": "authenticated",
        "result_reason": None,
        "transaction_id": random_text(28),
        "version": "2.2.0",
    }


def _decline(
    call: Call, intent: Json, method: Json, refusal: CardError, *, charge: Json | None = None
) -> Json:
    fields: Json = {
        "status": "failed",
        "failure_code": refusal.code,
        "failure_message": refusal.message,
        "outcome": payments.outcome(
            {
                "network_status": "declined_by_network",
                "reason": refusal.decline_code or refusal.code,
                "seller_message": "The bank did not return any further details with this decline.",
                "type": "issuer_declined",
            }
        ),
    }
    if charge is None:
        charge = payments.charge(call.now, intent, method, fields)
        call.add(charge, "charge.failed")
    else:
        charge = call.save(charge | fields, "charge.failed")
    refusal.extra["charge"] = charge["id"]
    intent = intent | {
        "status": "requires_payment_method",
        "payment_method": None,
        "latest_charge": charge["id"],
        "processing": None,
        "last_payment_error": _last_error(refusal, method, charge=charge["id"]),
    }
    return call.save(intent, "payment_intent.payment_failed")


def _last_error(refusal: ApiError, method: Json, *, charge: str | None) -> Json:
    error = refusal.body()["error"] | {"payment_method": method}
    if charge is not None:
        error["charge"] = charge
    return dict(error)


def _process(call: Call, intent: Json, method: Json) -> Json:
    charge = payments.charge(call.now, intent, method, {"status": "pending"})
    call.add(charge, "charge.pending")
    notes = call.store.private(method["id"])
    if "debit_after" in notes:
        alarms.put(call, intent["id"], SETTLE, call.now + int(notes["debit_after"]))
    intent = intent | {"status": "processing", "latest_charge": charge["id"]}
    return call.save(intent, "payment_intent.processing")


def _ask_for_authentication(call: Call, intent: Json) -> Json:
    notes = call.store.private(intent["id"])
    intent = intent | {
        "status": "requires_action",
        "next_action": {
            "redirect_to_url": {
                "return_url": notes.get("return_url"),
                "url": f"{call.base_url}/3ds/{intent['id']}",
            },
            "type": "redirect_to_url",
        },
    }
    return call.save(intent, "payment_intent.requires_action")

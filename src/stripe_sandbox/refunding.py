"""Gives money back: at once, days later, or not at all when the refund fails and the money returns.

Source: docs.stripe.com/refunds. Leaves parameters to ``api``.
"""

from stripe_sandbox import alarms, cards
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.ids import random_text
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import payments

FAIL, SUCCEED = "refund.fail", "refund.succeed"
_OPEN_DISPUTES = ("needs_response", "under_review", "lost")


def book(call: Call, charge: Json, amount: int | None, fields: Json) -> Json:
    """Give back `amount` in minor units, or all that is left; `fields` holds reason and metadata."""
    amount = _checked(call, charge, amount)
    method = call.store.get(charge["payment_method"], "payment_method")
    number = call.store.private(method["id"]).get("number") if method else None
    card = cards.by_number(number) if number else None
    waits = card is None or card.refunds == "pending"
    refund = payments.refund(call.now, charge, {"amount": amount} | fields)
    if waits:
        refund |= {"status": "pending", "pending_reason": "processing"}
    entry = payments.balance_transaction(call.now, refund, amount=-amount, fee=0)
    refund["balance_transaction"] = call.add(entry)["id"]
    call.add(refund, "refund.created")
    _count(call, charge, amount, "charge.refunded")
    if card is not None and card.refunds:
        alarms.put(call, refund["id"], SUCCEED if waits else FAIL, call.now)
    if waits or "destination_details" not in refund:
        return refund
    return _referenced(call, refund)


def succeed(call: Call, refund: Json) -> Json:
    """End a pending refund well."""
    _need(refund, "pending")
    done = {name: value for name, value in refund.items() if name != "pending_reason"}
    return told(call, done | {"status": "succeeded"}, refund)


def fail(call: Call, refund: Json, reason: str = "lost_or_stolen_card") -> Json:
    """Let a refund fail, also one that counted as done: the money returns to the account."""
    _need(refund, "pending", "succeeded")
    back = payments.balance_transaction(
        call.now, refund, amount=refund["amount"], fee=0, kind="refund_failure"
    )
    call.add(back)
    done = {name: value for name, value in refund.items() if name != "pending_reason"}
    done |= {"status": "failed", "failure_reason": reason, "failure_balance_transaction": back["id"]}
    told(call, done, refund)
    call.emit("refund.failed", done)
    charge = call.need("charge", refund["charge"])
    _count(call, charge, -refund["amount"], "charge.updated")
    return done


def _checked(call: Call, charge: Json, amount: int | None) -> int:
    if charge["status"] != "succeeded":
        message = f"Charge {charge['id']} is {charge['status']} and cannot be refunded."
        raise ApiError(message, code="charge_not_refundable")
    if call.store.private(charge["id"]).get("dispute_status") in _OPEN_DISPUTES:
        message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise ApiError(message, code="charge_disputed")
    left = int(charge["amount_captured"] - charge["amount_refunded"])
    if left == 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise ApiError(message, code="charge_already_refunded")
    amount = left if amount is None else amount
    if amount < 1:
        message = "Invalid positive integer"
        raise ApiError(message, code="parameter_invalid_integer", param="amount")
    if amount > left:
        message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
        raise ApiError(message, param="amount")
    return amount


def _count(call: Call, charge: Json, amount: int, event: str) -> None:
    """Add to what was refunded of a charge in all."""
    refunded = charge["amount_refunded"] + amount
    after = charge | {"amount_refunded": refunded, "refunded": refunded == charge["amount_captured"]}
    call.save(after, event, charge)


def _referenced(call: Call, refund: Json) -> Json:
    """Add the bank's reference, which comes a moment later."""
    card = refund["destination_details"]["card"] | {
        "reference": random_text(12).upper(),
        "reference_status": "available",
    }
    updated = refund | {"destination_details": {"type": "card", "card": card}}
    return call.save(updated, "refund.updated", refund)


def told(call: Call, after: Json, before: Json) -> Json:
    """Save a refund and tell of the change under both of its names."""
    call.save(after, "refund.updated", before)
    call.emit("charge.refund.updated", after, before)
    return after


def _need(refund: Json, *statuses: str) -> None:
    if refund["status"] not in statuses:
        message = f"The refund {refund['id']} is {refund['status']}."
        raise ApiError(message)

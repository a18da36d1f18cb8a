"""``/v1/refunds``: partial and cumulative, never more than was charged.

Leaves refunds that fail later to a later part.
"""

from stripe_sandbox.api import changes, lists
from stripe_sandbox.api.routes import LIST, endpoint
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.ids import random_text
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import payments


@endpoint("POST", "/v1/refunds", "charge", "payment_intent", "amount", "reason", "metadata")
def create(call: Call) -> Json:
    """Give back all of what is left of a charge, or `amount` in minor units."""
    charge = _charge(call)
    left = charge["amount_captured"] - charge["amount_refunded"]
    if left == 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise ApiError(message, code="charge_already_refunded")
    amount = call.params.get("amount", left)
    if amount < 1:
        message = "Invalid positive integer"
        raise ApiError(message, code="parameter_invalid_integer", param="amount")
    if amount > left:
        message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
        raise ApiError(message, param="amount")
    return _book(call, charge, amount)


@endpoint("GET", "/v1/refunds", *LIST, "charge", "payment_intent")
def list_all(call: Call) -> Json:
    """List refunds of a charge or payment intent."""
    where = lists.matching(call, "charge", "payment_intent")
    return lists.page(call, "refund", "/v1/refunds", where)


@endpoint("GET", "/v1/refunds/{}")
def retrieve(call: Call) -> Json:
    """Return a refund."""
    return call.need("refund", call.id)


@endpoint("POST", "/v1/refunds/{}", "metadata")
def update(call: Call) -> Json:
    """Change a refund's metadata."""
    before = call.need("refund", call.id)
    merged = changes.metadata(call.params.get("metadata"), before["metadata"])
    return call.save(before | {"metadata": merged}, "refund.updated", before)


def _charge(call: Call) -> Json:
    params = call.params
    if "charge" in params:
        charge = call.need("charge", params["charge"], param="charge")
    elif "payment_intent" in params:
        param = "payment_intent"
        intent = call.need("payment_intent", params[param], param=param)
        if intent["latest_charge"] is None:
            message = f"This PaymentIntent ({intent['id']}) does not have a successful charge."
            raise ApiError(message, code="resource_missing", param=param)
        charge = call.need("charge", intent["latest_charge"], param=param)
    else:
        message = "One of the following params should be provided: payment_intent or charge."
        raise ApiError(message, code="parameter_missing", param="charge")
    if charge["status"] != "succeeded":
        message = f"Charge {charge['id']} is {charge['status']} and cannot be refunded."
        raise ApiError(message, code="charge_not_refundable")
    return charge


def _book(call: Call, charge: Json, amount: int) -> Json:
    refund = payments.refund(
        call.now,
        charge,
        {
            "amount": amount,
            "reason": call.params.get("reason"),
            "metadata": changes.metadata(call.params.get("metadata")),
        },
    )
    entry = payments.balance_transaction(call.now, refund, amount=-amount, fee=0)
    refund["balance_transaction"] = call.add(entry)["id"]
    call.add(refund, "refund.created")
    refunded = charge["amount_refunded"] + amount
    after = charge | {
        "amount_refunded": refunded,
        "refunded": refunded == charge["amount_captured"],
    }
    call.save(after, "charge.refunded", charge)
    if "destination_details" not in refund:
        return refund
    card = refund["destination_details"]["card"] | {
        "reference": random_text(12).upper(),
        "reference_status": "available",
    }
    updated = refund | {"destination_details": {"type": "card", "card": card}}
    return call.save(updated, "refund.updated", refund)

"""``/v1/refunds``: partial and cumulative, never more than was charged. Leaves what happens to ``refunding``."""

from stripe_sandbox import refunding
from stripe_sandbox.api import changes, lists
from stripe_sandbox.api.routes import LIST, endpoint
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json


@endpoint("POST", "/v1/refunds", "charge", "payment_intent", "amount", "reason", "metadata")
def create(call: Call) -> Json:
    """Give back all of what is left of a charge, or `amount` in minor units."""
    params = call.params
    fields = {"reason": params.get("reason"), "metadata": changes.metadata(params.get("metadata"))}
    return refunding.book(call, _charge(call), params.get("amount"), fields)


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
    return refunding.told(call, before | {"metadata": merged}, before)


def _charge(call: Call) -> Json:
    params = call.params
    if "charge" in params:
        return call.need("charge", params["charge"], param="charge")
    if "payment_intent" not in params:
        message = "One of the following params should be provided: payment_intent or charge."
        raise ApiError(message, code="parameter_missing", param="charge")
    param = "payment_intent"
    intent = call.need("payment_intent", params[param], param=param)
    if intent["latest_charge"] is None:
        message = f"This PaymentIntent ({intent['id']}) does not have a successful charge."
        raise ApiError(message, code="resource_missing", param=param)
    return call.need("charge", intent["latest_charge"], param=param)

"""Commands about money that comes back, and cards that change: what banks and the dashboard do.

Events of these have no request, as when the cause is not the API.
"""

from starlette.requests import Request
from starlette.routing import Route

from stripe_sandbox import disputing, refunding
from stripe_sandbox.control.kit import post, work
from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json

_REASONS = (
    "credit_not_processed",
    "duplicate",
    "fraudulent",
    "general",
    "product_not_received",
    "product_unacceptable",
    "subscription_canceled",
    "unrecognized",
    disputing.INQUIRY,
)
_ENDS = {"win": "won", "lose": "lost", "close_warning": "warning_closed"}


def routes() -> list[Route]:
    """Return the routes of these commands."""
    return [
        post("charges/{id}/dispute", dispute),
        post("charges/{id}/refund", refund),
        post("disputes/{id}/{outcome:str}", end_dispute),
        post("refunds/{id}/settle", settle_refund),
        post("payment_methods/{id}/renew", renew_card),
    ]


async def dispute(request: Request, given: Json) -> Json:
    """Open a dispute: ``reason`` (``inquiry`` for a warning), ``amount`` in minor units."""
    reason = given.get("reason", "fraudulent")
    if reason not in _REASONS:
        message = f"reason must be one of {', '.join(_REASONS)}."
        raise ApiError(message, param="reason")
    with work(request) as call:
        charge = call.need("charge", request.path_params["id"])
        return disputing.begin(call, charge, reason, amount=given.get("amount"))


async def end_dispute(request: Request, _given: Json) -> Json:
    """End a dispute: ``win``, ``lose``, ``close_warning``; or turn an inquiry into one: ``escalate``."""
    outcome = request.path_params["outcome"]
    if outcome not in (*_ENDS, "escalate"):
        message = f"The outcome must be one of {', '.join((*_ENDS, 'escalate'))}."
        raise ApiError(message, param="outcome")
    with work(request) as call:
        found = call.need("dispute", request.path_params["id"])
        if outcome == "escalate":
            return disputing.escalate(call, found)
        return disputing.end(call, found, _ENDS[outcome])


async def refund(request: Request, given: Json) -> Json:
    """Refund a charge as from the dashboard: ``amount`` in minor units, ``reason``."""
    with work(request) as call:
        charge = call.need("charge", request.path_params["id"])
        fields = {"reason": given.get("reason", "requested_by_customer"), "metadata": {}}
        return refunding.book(call, charge, given.get("amount"), fields)


async def settle_refund(request: Request, given: Json) -> Json:
    """End a refund: ``outcome`` is ``succeed`` or ``fail``; also one that counted as done can fail."""
    with work(request) as call:
        found = call.need("refund", request.path_params["id"])
        if given.get("outcome", "succeed") == "succeed":
            return refunding.succeed(call, found)
        return refunding.fail(call, found, given.get("reason", "lost_or_stolen_card"))


async def renew_card(request: Request, given: Json) -> Json:
    """Renew a saved card as its network does: ``exp_month``, ``exp_year``, ``last4``."""
    with work(request) as call:
        before = call.need("payment_method", request.path_params["id"])
        if before["type"] != "card":
            message = "Only cards are renewed by their networks."
            raise ApiError(message)
        known = {name: given[name] for name in ("exp_month", "exp_year", "last4") if name in given}
        fresh = known or {"exp_year": before["card"]["exp_year"] + 3}
        after = before | {"card": before["card"] | fresh}
        return call.save(after, "payment_method.automatically_updated", before)

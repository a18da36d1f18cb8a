"""The customer portal: plans, cards and invoices of one customer, as its configuration allows.

What a click does is what the API does; events of it have no request, as it was not the API. Leaves the look to
``templates/portal.html``.
"""

from collections.abc import Callable
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stripe_sandbox import buyer, clocks, payment
from stripe_sandbox.billing import changing, standing
from stripe_sandbox.billing.changing import Wish
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.hosted import views
from stripe_sandbox.kinds import Json
from stripe_sandbox.sandbox import Sandbox
from stripe_sandbox.shapes import subscriptions as shapes
from stripe_sandbox.store import field_is

_KIND = "billing_portal.session"


def routes() -> list[Route]:
    """Return the routes of the portal."""
    return [
        Route("/p/session/{id}", page, methods=["GET"]),
        Route("/p/session/{id}", act, methods=["POST"]),
    ]


async def page(request: Request) -> Response:
    """Show what the customer has."""
    sandbox: Sandbox = request.app.state.sandbox
    found = _session(sandbox.call(views.base(request)), request.path_params["id"])
    if found is None:
        return views.notice("Page not found", "This portal session does not exist.", status=404)
    call, session, features = found
    owner = [field_is("customer", session["customer"])]
    customer = call.need("customer", session["customer"])
    return views.page(
        "portal.html",
        session=session,
        features=features,
        customer=customer,
        subscriptions=[_view(call, one) for one in call.store.find("subscription", owner)],
        plans=_plans(call, features),
        methods=call.store.find("payment_method", owner),
        default=customer["invoice_settings"]["default_payment_method"],
        invoices=[one for one in call.store.find("invoice", owner, limit=24) if one["status"] != "draft"],
        error=request.query_params.get("error"),
    )


async def act(request: Request) -> Response:
    """Do what a button says, then show the page again."""
    sandbox: Sandbox = request.app.state.sandbox
    typed = await views.typed(request)
    secret = request.path_params["id"]
    target = f"/p/session/{secret}"
    try:
        with sandbox.work(views.base(request)) as reading:
            found = _session(reading, secret)
            if found is None:
                return views.notice("Page not found", "This portal session does not exist.", status=404)
            call, session, features = found
            action = _ACTIONS.get(typed.get("action", ""))
            if action is not None:
                action(call, session, features, typed)
    except ApiError as refusal:
        target += "?" + urlencode({"error": refusal.message})
    return views.see(target)


def _session(call: Call, secret: str) -> tuple[Call, Json, Json] | None:
    """Return the session with this secret address, at its customer's time, and its features."""
    for found in call.store.find(_KIND):
        if found["url"].rpartition("/")[2] == secret:
            configuration = call.need("billing_portal.configuration", found["configuration"])
            return clocks.at(call, found), found, configuration["features"]
    return None


def _view(call: Call, subscription: Json) -> Json:
    items = subscription["items"]["data"]
    names = [call.need("product", item["price"]["product"])["name"] for item in items]
    return {
        "body": subscription,
        "name": ", ".join(names),
        "price": items[0]["price"],
        "until": standing.period_of(subscription)[1],
        "runs": subscription["status"] not in standing.ENDED,
    }


def _plans(call: Call, features: Json) -> list[Json]:
    products = features["subscription_update"]["products"] or []
    if not features["subscription_update"]["enabled"]:
        return []
    prices = [call.need("price", price) for product in products for price in product["prices"]]
    return [price | {"name": call.need("product", price["product"])["name"]} for price in prices]


def _own(call: Call, session: Json, kind: str, object_id: str) -> Json:
    """Return an object of the portal's customer and of nobody else."""
    found = call.need(kind, object_id)
    if found["customer"] != session["customer"]:
        message = "This is not yours."
        raise ApiError(message)
    return found


def _allowed(features: Json, name: str) -> None:
    if not features[name]["enabled"]:
        message = "This portal does not offer that."
        raise ApiError(message)


def _cancel(call: Call, session: Json, features: Json, typed: dict[str, str]) -> None:
    _allowed(features, "subscription_cancel")
    found = _own(call, session, "subscription", typed.get("subscription", ""))
    details = {"feedback": typed.get("feedback") or None, "comment": typed.get("comment") or None}
    if features["subscription_cancel"]["mode"] == "immediately":
        prorate = features["subscription_cancel"]["proration_behavior"] != "none"
        changing.cancel(call, found, prorate=prorate, invoice_now=False, details=details)
        return
    said = shapes.cancellation(None, details)
    changing.change(call, found, Wish({"cancel_at_period_end": True, "cancellation_details": said}))


def _resume(call: Call, session: Json, features: Json, typed: dict[str, str]) -> None:
    _allowed(features, "subscription_cancel")
    found = _own(call, session, "subscription", typed.get("subscription", ""))
    changing.change(call, found, Wish({"cancel_at_period_end": False, "cancel_at": None}))


def _switch(call: Call, session: Json, features: Json, typed: dict[str, str]) -> None:
    _allowed(features, "subscription_update")
    found = _own(call, session, "subscription", typed.get("subscription", ""))
    wanted = [plan for plan in _plans(call, features) if plan["id"] == typed.get("price")]
    if not wanted:
        message = "This plan is not offered."
        raise ApiError(message)
    price = call.need("price", wanted[0]["id"])
    first, *rest = found["items"]["data"]
    items = [first | {"price": price, "plan": shapes.plan(price)}, *rest]
    prorates = features["subscription_update"]["proration_behavior"]
    changing.change(call, found, Wish(items=items, prorates=prorates, at=call.now))


def _add_card(call: Call, session: Json, features: Json, typed: dict[str, str]) -> None:
    _allowed(features, "payment_method_update")
    card, look = buyer.card_of(call, typed)
    method = payment.new_card(call, card, look, {"name": typed.get("billingName") or None})
    payment.attach(call, method, session["customer"])
    _make_default(call, session, method)


def _use_card(call: Call, session: Json, features: Json, typed: dict[str, str]) -> None:
    _allowed(features, "payment_method_update")
    _make_default(call, session, _own(call, session, "payment_method", typed.get("method", "")))


def _remove_card(call: Call, session: Json, features: Json, typed: dict[str, str]) -> None:
    _allowed(features, "payment_method_update")
    method = _own(call, session, "payment_method", typed.get("method", ""))
    payment.detach(call, method)


def _make_default(call: Call, session: Json, method: Json) -> None:
    """Charge a card from now on: the customer's default, and that of subscriptions with one of their own."""
    before = call.need("customer", session["customer"])
    settings = before["invoice_settings"] | {"default_payment_method": method["id"]}
    call.save(before | {"invoice_settings": settings}, "customer.updated", before)
    for found in call.store.find("subscription", [field_is("customer", before["id"])]):
        own = found["default_payment_method"]
        if own not in (None, method["id"]) and found["status"] not in standing.ENDED:
            after = found | {"default_payment_method": method["id"]}
            call.save(after, standing.UPDATED, found)


_ACTIONS: dict[str, Callable[[Call, Json, Json, dict[str, str]], None]] = {
    "add-card": _add_card,
    "cancel": _cancel,
    "remove-card": _remove_card,
    "resume": _resume,
    "switch": _switch,
    "use-card": _use_card,
}

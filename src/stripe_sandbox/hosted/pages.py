"""The checkout page, the bank's 3-D Secure page and the assets.

Leaves invoices to ``invoice_pages``, the customer portal to ``portal``, and the look to templates and assets.
"""

from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from stripe_sandbox import buyer, cards, checkout, payment
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.hosted import views
from stripe_sandbox.kinds import Json
from stripe_sandbox.sandbox import Sandbox

_ASSETS = {
    "checkout.css": "text/css",
    "checkout.js": "text/javascript",
    "desk.css": "text/css",
    "element.css": "text/css",
    "element_3ds.js": "text/javascript",
    "element_card.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_FIELDS = {
    "number": "cardNumber",
    "exp_month": "cardExpiry",
    "exp_year": "cardExpiry",
    "cvc": "cardCvc",
    "name": "billingName",
    "email": "email",
    "country": "billingCountry",
}
"""Which input an error's ``param`` belongs to."""


def routes() -> list[Route]:
    """Return the routes of the pages."""
    return [
        Route("/c/pay/{id}", pay_page, methods=["GET"]),
        Route("/c/pay/{id}", pay, methods=["POST"]),
        Route("/c/pay/{id}/code", code, methods=["POST"]),
        Route("/3ds/{id}", threeds_page, methods=["GET"]),
        Route("/3ds/{id}", threeds, methods=["POST"]),
        Route("/assets/{name}", asset, methods=["GET"]),
    ]


async def pay_page(request: Request) -> Response:
    """Show an open session, or say why it cannot be paid."""
    call = views.call_of(request)
    session = call.store.get(request.path_params["id"], "checkout.session")
    if session is None:
        return views.notice("Page not found", "This checkout page does not exist.", status=404)
    if session["status"] != "open" or session["expires_at"] <= call.now:
        return _closed(session)
    error = request.query_params.get("code_error")
    if request.query_params.get("failed"):
        error = cards.authentication_failed().message
    return _form(call, session, {}, error=error)


async def pay(request: Request) -> Response:
    """Take what the buyer typed and try to pay."""
    wants_json = "application/json" in request.headers.get("accept", "")
    sandbox: Sandbox = request.app.state.sandbox
    typed = await views.typed(request)
    session_id = request.path_params["id"]
    try:
        with sandbox.work(views.base(request), about=request.path_params["id"]) as call:
            session = call.need("checkout.session", session_id)
            if session["status"] == "open":
                who = buyer.buyer_of(call, session, typed)
                checkout.need_open(call, session)
                method = buyer.method_of(call, session, who, typed)
                result = checkout.pay(call, session, method, who)
            else:
                return _already(session, wants_json=wants_json)
        refusal, next_url = result.error, result.next_url
    except ApiError as problem:
        refusal, next_url = problem, None
    if next_url is not None:
        return _go(next_url, wants_json=wants_json)
    assert refusal is not None
    field = _FIELDS.get(refusal.param or "")
    if wants_json:
        error = {"message": refusal.message, "code": refusal.code, "field": field}
        return JSONResponse({"error": error}, headers=views.HEADERS)
    call = views.call_of(request)
    shown = call.store.get(session_id, "checkout.session")
    if shown is None or shown["status"] != "open":
        return views.notice("Page not found", refusal.message, status=404)
    return _form(call, shown, typed, error=refusal.message, field=field)


async def code(request: Request) -> Response:
    """Take a promotion code."""
    sandbox: Sandbox = request.app.state.sandbox
    session_id = request.path_params["id"]
    typed = await views.typed(request)
    target = f"/c/pay/{session_id}"
    try:
        with sandbox.work(views.base(request), about=session_id) as call:
            session = call.need("checkout.session", session_id)
            checkout.apply_code(call, session, typed.get("promotionCode", ""))
    except ApiError as refusal:
        target += "?" + urlencode({"code_error": refusal.message})
    return views.see(target)


async def threeds_page(request: Request) -> Response:
    """Show the bank's question of a 3-D Secure step."""
    call = views.call_of(request)
    intent = call.store.get(request.path_params["id"])
    if intent is None or intent.get("status") != "requires_action":
        return views.notice("Nothing to confirm", "This payment needs no authentication.", status=404)
    return views.page("threeds.html", intent=intent)


async def threeds(request: Request) -> Response:
    """Take the buyer's answer to the 3-D Secure step."""
    sandbox: Sandbox = request.app.state.sandbox
    passed = (await views.typed(request)).get("result") == "complete"
    try:
        with sandbox.work(views.base(request), about=request.path_params["id"]) as call:
            intent = call.store.get(request.path_params["id"])
            if intent is None or intent.get("status") != "requires_action":
                return views.notice("Nothing to confirm", "This payment needs no authentication.")
            result = checkout.authenticate(call, intent, passed=passed)
    except ApiError as problem:
        return views.notice("Payment not possible", problem.message, status=problem.status)
    if result is not None:
        failed = f"{views.base(request)}/c/pay/{result.session['id']}?failed=1"
        return RedirectResponse(result.next_url or failed, views.SEE_OTHER)
    return _back_to_shop(call, intent, passed=passed)


async def asset(request: Request) -> Response:
    """Serve the style sheet or the script."""
    name = request.path_params["name"]
    if name not in _ASSETS:
        return views.notice("Page not found", "There is no such file.", status=404)
    return FileResponse(views.HERE / "assets" / name, media_type=_ASSETS[name])


def _closed(session: Json) -> Response:
    if session["status"] == "complete":
        text = "You have already completed this checkout. Nothing more will be charged."
        return views.notice("Payment complete", text, link=checkout.success_url(session))
    text = "This checkout page is no longer active. Start again from the shop."
    return views.notice("This page has expired", text, link=session["cancel_url"])


def _already(session: Json, *, wants_json: bool) -> Response:
    """Answer a second click on Pay: a paid session leads on, an expired one says so."""
    if session["status"] == "complete":
        return _go(checkout.success_url(session), wants_json=wants_json)
    if wants_json:
        return JSONResponse({"redirect": f"/c/pay/{session['id']}"}, headers=views.HEADERS)
    return _closed(session)


def _go(url: str, *, wants_json: bool) -> Response:
    if wants_json:
        return JSONResponse({"redirect": url}, headers=views.HEADERS)
    return RedirectResponse(url, views.SEE_OTHER, headers={"Cache-Control": "no-store"})


def _form(
    call: Call,
    session: Json,
    typed: Mapping[str, str],
    *,
    error: str | None = None,
    field: str | None = None,
) -> Response:
    """Render the form; a card's number and CVC are never written back into the page."""
    known = ("email", "billingName", "billingPostalCode", "billingCountry", "cardExpiry", "method")
    return views.page(
        "pay.html",
        session=session,
        items=call.store.private(session["id"])["line_items"],
        typed={name: typed.get(name, "") for name in known},
        email=checkout.email_of(call, session),
        free=not checkout.needs_method(session),
        bank=payment.bank_scheme(session["currency"] or "usd"),
        methods=session["payment_method_types"],
        cards=cards.CARDS,
        error=error,
        field=field,
    )


def _back_to_shop(call: Call, intent: Json, *, passed: bool) -> Response:
    """Return the buyer of a payment that was not started by a session."""
    target = call.store.private(intent["id"]).get("return_url")
    if not target:
        text = "You can close this page." if passed else "The authentication failed."
        return views.notice("Authentication complete" if passed else "Authentication failed", text)
    kind = intent["object"]
    query = urlencode(
        {
            kind: intent["id"],
            f"{kind}_client_secret": intent["client_secret"],
            "redirect_status": "succeeded" if passed else "failed",
        }
    )
    return RedirectResponse(f"{target}{'&' if '?' in target else '?'}{query}", views.SEE_OTHER)

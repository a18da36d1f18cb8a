"""The routes of the hosted pages. Leaves their look to the templates and assets beside it."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import jinja2
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from stripe_sandbox import buyer, cards, checkout, clocks, money, payment
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json
from stripe_sandbox.sandbox import Sandbox

_HERE = Path(__file__).parent
_ASSETS = {
    "checkout.css": "text/css",
    "checkout.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_HERE / "templates"), autoescape=True, trim_blocks=True
)
_PAGES.filters["money"] = money.shown
_PAGES.filters["digits"] = cards.grouped
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_FIELDS = {
    "number": "cardNumber",
    "exp_month": "cardExpiry",
    "exp_year": "cardExpiry",
    "cvc": "cardCvc",
    "name": "billingName",
    "email": "email",
}
"""Which input an error's ``param`` belongs to."""
_SEE_OTHER = 303
_LARGEST_FORM = 20_000


def routes() -> list[Route]:
    """Return the routes of the pages."""
    return [
        Route("/c/pay/{id}", pay_page, methods=["GET"]),
        Route("/c/pay/{id}", pay, methods=["POST"]),
        Route("/3ds/{id}", threeds_page, methods=["GET"]),
        Route("/3ds/{id}", threeds, methods=["POST"]),
        Route("/i/{id}", invoice_page, methods=["GET"]),
        Route("/receipts/{id}", receipt_page, methods=["GET"]),
        Route("/assets/{name}", asset, methods=["GET"]),
    ]


async def pay_page(request: Request) -> Response:
    """Show an open session, or say why it cannot be paid."""
    call = _call(request)
    session = call.store.get(request.path_params["id"], "checkout.session")
    if session is None:
        return _notice("Page not found", "This checkout page does not exist.", status=404)
    call = clocks.at(call, session)
    if session["status"] != "open" or session["expires_at"] <= call.now:
        return _closed(session)
    error = None
    if request.query_params.get("failed") and session["payment_intent"]:
        intent = call.need("payment_intent", session["payment_intent"])
        error = (intent["last_payment_error"] or {}).get("message")
    return _form(call, session, {}, error=error)


async def pay(request: Request) -> Response:
    """Take what the buyer typed and try to pay."""
    wants_json = "application/json" in request.headers.get("accept", "")
    sandbox: Sandbox = request.app.state.sandbox
    typed = await _typed(request)
    session_id = request.path_params["id"]
    try:
        with sandbox.work(_base(request), about=request.path_params["id"]) as call:
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
        return JSONResponse({"error": error}, headers=_HEADERS)
    call = _call(request)
    shown = call.store.get(session_id, "checkout.session")
    if shown is None or shown["status"] != "open":
        return _notice("Page not found", refusal.message, status=404)
    return _form(call, shown, typed, error=refusal.message, field=field)


async def threeds_page(request: Request) -> Response:
    """Show the bank's question of a 3-D Secure step."""
    call = _call(request)
    intent = call.store.get(request.path_params["id"])
    if intent is None or intent.get("status") != "requires_action":
        return _notice("Nothing to confirm", "This payment needs no authentication.", status=404)
    return _page("threeds.html", intent=intent)


async def threeds(request: Request) -> Response:
    """Take the buyer's answer to the 3-D Secure step."""
    sandbox: Sandbox = request.app.state.sandbox
    passed = (await _typed(request)).get("result") == "complete"
    try:
        with sandbox.work(_base(request), about=request.path_params["id"]) as call:
            intent = call.store.get(request.path_params["id"])
            if intent is None or intent.get("status") != "requires_action":
                return _notice("Nothing to confirm", "This payment needs no authentication.")
            result = checkout.authenticate(call, intent, passed=passed)
    except ApiError as problem:
        return _notice("Payment not possible", problem.message, status=problem.status)
    if result is not None:
        failed = f"{_base(request)}/c/pay/{result.session['id']}?failed=1"
        return RedirectResponse(result.next_url or failed, _SEE_OTHER)
    return _back_to_shop(call, intent, passed=passed)


async def invoice_page(request: Request) -> Response:
    """Show an invoice."""
    found = _call(request).store.get(request.path_params["id"], "invoice")
    if found is None:
        return _notice("Page not found", "This invoice does not exist.", status=404)
    return _page("invoice.html", invoice=found)


async def receipt_page(request: Request) -> Response:
    """Show the receipt of a charge."""
    found = _call(request).store.get(request.path_params["id"], "charge")
    if found is None:
        return _notice("Page not found", "This receipt does not exist.", status=404)
    return _page("receipt.html", charge=found)


async def asset(request: Request) -> Response:
    """Serve the style sheet or the script."""
    name = request.path_params["name"]
    if name not in _ASSETS:
        return _notice("Page not found", "There is no such file.", status=404)
    return FileResponse(_HERE / "assets" / name, media_type=_ASSETS[name])


def _call(request: Request) -> Call:
    sandbox: Sandbox = request.app.state.sandbox
    return sandbox.call(_base(request))


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")


async def _typed(request: Request) -> dict[str, str]:
    body = await request.body()
    text = body[:_LARGEST_FORM].decode(errors="replace")
    return dict(parse_qsl(text, keep_blank_values=True))


def _page(template: str, status: int = 200, **values: object) -> Response:
    html = _PAGES.get_template(template).render(**values)
    return HTMLResponse(html, status_code=status, headers=_HEADERS)


def _notice(title: str, text: str, *, status: int = 200, link: str | None = None) -> Response:
    return _page("notice.html", status, title=title, text=text, link=link)


def _closed(session: Json) -> Response:
    if session["status"] == "complete":
        text = "You have already completed this checkout. Nothing more will be charged."
        return _notice("Payment complete", text, link=checkout.success_url(session))
    text = "This checkout page is no longer active. Start again from the shop."
    return _notice("This page has expired", text, link=session["cancel_url"])


def _already(session: Json, *, wants_json: bool) -> Response:
    """Answer a second click on Pay: a paid session leads on, an expired one says so."""
    if session["status"] == "complete":
        return _go(checkout.success_url(session), wants_json=wants_json)
    if wants_json:
        return JSONResponse({"redirect": f"/c/pay/{session['id']}"}, headers=_HEADERS)
    return _closed(session)


def _go(url: str, *, wants_json: bool) -> Response:
    if wants_json:
        return JSONResponse({"redirect": url}, headers=_HEADERS)
    return RedirectResponse(url, _SEE_OTHER, headers={"Cache-Control": "no-store"})


def _form(
    call: Call,
    session: Json,
    typed: Mapping[str, str],
    *,
    error: str | None = None,
    field: str | None = None,
) -> Response:
    """Render the form; a card's number and CVC are never written back into the page."""
    known = ("email", "billingName", "billingPostalCode", "cardExpiry", "method")
    return _page(
        "pay.html",
        session=session,
        items=call.store.private(session["id"])["line_items"],
        typed={name: typed.get(name, "") for name in known},
        email=checkout.email_of(call, session),
        free=not checkout.needs_method(session),
        bank=payment.bank_scheme(session["currency"] or "usd"),
        cards=cards.CARDS,
        error=error,
        field=field,
    )


def _back_to_shop(call: Call, intent: Json, *, passed: bool) -> Response:
    """Return the buyer of a payment that was not started by a session."""
    target = call.store.private(intent["id"]).get("return_url")
    if not target:
        text = "You can close this page." if passed else "The authentication failed."
        return _notice("Authentication complete" if passed else "Authentication failed", text)
    kind = intent["object"]
    query = urlencode(
        {
            kind: intent["id"],
            f"{kind}_client_secret": intent["client_secret"],
            "redirect_status": "succeeded" if passed else "failed",
        }
    )
    return RedirectResponse(f"{target}{'&' if '?' in target else '?'}{query}", _SEE_OTHER)

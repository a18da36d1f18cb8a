"""The hosted invoice page, where an open invoice is paid, and the receipt of a charge."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stripe_sandbox import buyer, cards, payment
from stripe_sandbox.billing import collect, invoices
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.hosted import views
from stripe_sandbox.kinds import Json
from stripe_sandbox.sandbox import Sandbox


def routes() -> list[Route]:
    """Return the routes of these pages."""
    return [
        Route("/i/{id}", invoice_page, methods=["GET"]),
        Route("/i/{id}", pay, methods=["POST"]),
        Route("/receipts/{id}", receipt_page, methods=["GET"]),
    ]


async def invoice_page(request: Request) -> Response:
    """Show an invoice, and a form to pay it while it is open."""
    found = views.call_of(request).store.get(request.path_params["id"], "invoice")
    if found is None or found.get("deleted"):
        return views.notice("Page not found", "This invoice does not exist.", status=404)
    failed = request.query_params.get("redirect_status") == "failed"
    return _shown(found, cards.authentication_failed().message if failed else None)


async def pay(request: Request) -> Response:
    """Take what the buyer typed and try to pay."""
    sandbox: Sandbox = request.app.state.sandbox
    typed = await views.typed(request)
    invoice_id = request.path_params["id"]
    try:
        with sandbox.work(views.base(request), about=invoice_id) as call:
            found = call.need("invoice", invoice_id)
            if found["status"] not in ("open", "uncollectible"):
                return views.see(f"/i/{invoice_id}")
            refusal = collect.attempt(call, found, _method(call, typed), automatic=False)
            intent = invoices.intent_of(call, invoice_id)
    except ApiError as problem:
        refusal, intent = problem, None
    if intent is not None and intent["status"] == "requires_action":
        return views.see(intent["next_action"]["redirect_to_url"]["url"])
    if refusal is None:
        return views.see(f"/i/{invoice_id}")
    shown = sandbox.store.get(invoice_id, "invoice")
    if shown is None:
        return views.notice("Page not found", refusal.message, status=404)
    return _shown(shown, refusal.message)


async def receipt_page(request: Request) -> Response:
    """Show the receipt of a charge."""
    found = views.call_of(request).store.get(request.path_params["id"], "charge")
    if found is None:
        return views.notice("Page not found", "This receipt does not exist.", status=404)
    return views.page("receipt.html", charge=found)


def _method(call: Call, typed: dict[str, str]) -> Json:
    card, look = buyer.card_of(call, typed)
    return payment.new_card(call, card, look, {"name": typed.get("billingName", "").strip() or None})


def _shown(invoice: Json, error: str | None) -> Response:
    payable = invoice["status"] in ("open", "uncollectible") and invoice["amount_remaining"] > 0
    return views.page("invoice.html", invoice=invoice, payable=payable, error=error, cards=cards.CARDS)

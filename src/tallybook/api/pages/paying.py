"""The pages of a link for paying: what is missing, the way to Stripe, and back. Nobody is signed in here."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from tallybook.api.deps import Ctx
from tallybook.api.pages.browser import Browser, grouped, page, same_origin, to
from tallybook.api.problems import STATUS
from tallybook.domain.errors import BillingError
from tallybook.domain.payments.checkouts import Status
from tallybook.usecases import checkouts, fulfilment, paying
from tallybook.usecases.context import Context

router = APIRouter(include_in_schema=False)


@router.get("/pay/{token}")
async def pay_page(ctx: Ctx, token: str) -> Response:
    """What is missing, and the offers that cover it. Looking changes nothing: previews of messengers look too."""
    return await _shown(ctx, token)


@router.post("/pay/{token}")
async def pay(
    request: Request, ctx: Ctx, token: str, offer: Annotated[str, Form(max_length=100)]
) -> Response:
    """Open the checkout of an offer and go there; only now Stripe is asked."""
    same_origin(request)
    try:
        order = await paying.order(ctx, token, offer)
        opened = await checkouts.open_checkout(
            ctx,
            order.caller,
            reference=order.offer.lookup_key,
            quantity=order.offer.quantity,
            success_url=order.success_url,
            cancel_url=order.cancel_url,
            user_id=None,
            mode="payment",
            key=order.key,
        )
    except BillingError as refusal:
        return await _shown(ctx, token, problem=refusal)
    if opened.checkout.status is Status.PROCESSING:
        return to(f"/pay/{token}/done?session_id={opened.checkout.stripe_session_id}")
    assert opened.checkout.url is not None
    return to(opened.checkout.url)


@router.get("/pay/{token}/done")
async def done(
    ctx: Ctx, token: str, session_id: Annotated[str, Query(pattern=r"^[A-Za-z0-9_]{1,255}$")] = "none"
) -> Response:
    """Where Stripe sends the customer back to; settles the payment itself if the webhook was slower."""
    try:
        settled = await fulfilment.return_from_checkout(ctx, paying.returning(ctx, token), session_id)
    except BillingError as refusal:
        return _notice(ctx, refusal)
    assert settled.checkout is not None
    bought = grouped(settled.checkout.credits)
    return _page(ctx, "paid.html", state=str(settled.checkout.status), bought=bought, token=token)


async def _shown(ctx: Context, token: str, *, problem: BillingError | None = None) -> Response:
    try:
        bill = await paying.bill(ctx, token)
    except BillingError as refusal:
        return _notice(ctx, refusal)
    offers = [
        {
            "lookup_key": offer.lookup_key,
            "name": offer.name if offer.quantity == 1 else f"{offer.quantity} x {offer.name}",
            "credits": grouped(offer.credits),
            "price": str(offer.price),
        }
        for offer in bill.offers
    ]
    return _page(
        ctx,
        "pay.html",
        status=200 if problem is None else STATUS[problem.code],
        token=token,
        shortfall=grouped(bill.shortfall),
        covered=bill.is_covered,
        offers=offers,
        problem="" if problem is None else problem.message,
    )


def _notice(ctx: Context, refusal: BillingError) -> Response:
    status = STATUS[refusal.code]
    return _page(ctx, "pay_notice.html", status=status, message=refusal.message, code=refusal.code)


def _page(ctx: Context, template: str, *, status: int = 200, **values: Any) -> Response:
    response = page(template, Browser(), ctx, status=status, email="", **values)
    response.headers["X-Robots-Tag"] = "noindex"
    return response

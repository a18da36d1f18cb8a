"""The page of a top-up that waits for its customer: what is charged, the way to their bank, and back."""

from __future__ import annotations

import uuid

from fastapi import APIRouter, Request
from starlette.responses import Response

from tallybook.api.deps import Ctx
from tallybook.api.pages.browser import Browser, BrowserDep, grouped, page, same_origin, to
from tallybook.api.problems import STATUS
from tallybook.domain.errors import BillingError
from tallybook.domain.identity.callers import Caller
from tallybook.domain.ids import parse_plain_id
from tallybook.usecases.cards import completing, forms
from tallybook.usecases.context import Context

router = APIRouter(include_in_schema=False)


@router.get("/top-ups/{top_up}")
async def top_up_page(ctx: Ctx, browser: BrowserDep, top_up: str) -> Response:
    """How far it is; here the bank sends the customer back to, so Stripe is asked first."""
    if browser.caller is None:
        return to(_sign_in(top_up))
    return await _shown(ctx, browser, browser.caller, top_up)


@router.post("/top-ups/{top_up}")
async def complete(request: Request, ctx: Ctx, browser: BrowserDep, top_up: str) -> Response:
    """Charge it now that the customer is here, and send them to their bank if it wants to see them."""
    same_origin(request)
    if browser.caller is None:
        return to(_sign_in(top_up))
    try:
        number = parse_plain_id("pin", top_up)
        key = f"page-{uuid.uuid4()}"
        done = await completing.complete(ctx, browser.caller, number, return_url=None, key=key)
    except BillingError as refusal:
        return await _shown(ctx, browser, browser.caller, top_up, problem=refusal)
    return to(done.redirect_url or f"/top-ups/pin_{number}", browser, ctx)


async def _shown(
    ctx: Context, browser: Browser, caller: Caller, top_up: str, *, problem: BillingError | None = None
) -> Response:
    try:
        found = (await forms.look(ctx, caller, parse_plain_id("pin", top_up))).intent
    except BillingError as refusal:
        return page(
            "pay_notice.html",
            browser,
            ctx,
            status=STATUS[refusal.code],
            email="",
            message=refusal.message,
            code=refusal.code,
        )
    return page(
        "top_up.html",
        browser,
        ctx,
        status=200 if problem is None else STATUS[problem.code],
        email="",
        top_up=f"pin_{found.number}",
        state=found.status.value,
        price=str(found.price),
        bought=grouped(found.credits),
        problem="" if problem is None else problem.message,
    )


def _sign_in(top_up: str) -> str:
    """The sign-in page, and back; what is no id of ours leads nowhere."""
    known = top_up.removeprefix("pin_").isdecimal() and top_up.startswith("pin_")
    return f"/login?next=/top-ups/{top_up}" if known else "/login"

"""The pages' routes; each draws what one use case answered."""

from __future__ import annotations

import uuid
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from tallybook.api.deps import Ctx
from tallybook.api.pages.browser import (
    Browser,
    BrowserDep,
    clear_cookies,
    grouped,
    page,
    same_origin,
    set_cookies,
    to,
)
from tallybook.domain.errors import BillingError
from tallybook.domain.identity.callers import Caller
from tallybook.domain.ledger.requests import Transfer
from tallybook.domain.money import Credits
from tallybook.usecases import checkouts, fulfilment, sessions, transfers, users, wallets
from tallybook.usecases.context import Context

router = APIRouter(include_in_schema=False)
HISTORY = 20
WHAT = {"grant": "Credits added", "spend": "Used", "hold": "Set aside", "release": "Given back"}


@router.get("/")
async def home() -> Response:
    """The one page there is to start from."""
    return to("/credits")


@router.get("/login")
async def login_form(
    ctx: Ctx, browser: BrowserDep, then: Annotated[str, Query(alias="next", max_length=500)] = "/credits"
) -> Response:
    """The sign-in form."""
    return _login(ctx, browser, then=_own_path(then))


@router.post("/login")
async def login(
    request: Request,
    ctx: Ctx,
    email: Annotated[str, Form(max_length=320)],
    password: Annotated[str, Form(max_length=1024)],
    then: Annotated[str, Form(alias="next", max_length=500)] = "/credits",
) -> Response:
    """Sign this browser in."""
    same_origin(request)
    try:
        opened = await sessions.sign_in(ctx, email=email, password=password)
    except BillingError as refusal:
        return _login(ctx, Browser(), then=_own_path(then), given=email, problem=refusal.message, status=401)
    response = to(_own_path(then))
    set_cookies(response, opened.tokens, secure=ctx.pages_url.startswith("https:"))
    return response


@router.post("/logout")
async def logout(request: Request, ctx: Ctx, browser: BrowserDep) -> Response:
    """Sign this browser out; its tokens are refused from now on."""
    same_origin(request)
    if browser.caller is not None:
        await sessions.sign_out(ctx, browser.caller)
    response = to("/login")
    clear_cookies(response)
    return response


@router.get("/credits")
async def credits_page(
    ctx: Ctx, browser: BrowserDep, cancelled: Annotated[str | None, Query(max_length=10)] = None
) -> Response:
    """The balance, what can be bought, and the history."""
    if browser.caller is None:
        return to("/login?next=/credits")
    return await _credits(ctx, browser, browser.caller, cancelled=cancelled is not None)


@router.post("/credits/buy")
async def buy(
    request: Request, ctx: Ctx, browser: BrowserDep, price: Annotated[str, Form(max_length=100)]
) -> Response:
    """Open a checkout and go there."""
    same_origin(request)
    if browser.caller is None:
        return to("/login?next=/credits")
    try:
        opened = await checkouts.open_checkout(
            ctx,
            browser.caller,
            reference=price,
            quantity=1,
            success_url=f"{ctx.pages_url}/credits/success?session_id={{CHECKOUT_SESSION_ID}}",
            cancel_url=f"{ctx.pages_url}/credits?cancelled=1",
            user_id=None,
            mode="payment",
            key=f"page-{uuid.uuid4()}",
        )
    except BillingError as refusal:
        return await _credits(ctx, browser, browser.caller, problem=refusal.message, status=502)
    assert opened.checkout.url is not None
    return to(opened.checkout.url, browser, ctx)


@router.get("/credits/success")
async def success(
    ctx: Ctx,
    browser: BrowserDep,
    session_id: Annotated[str, Query(pattern=r"^[A-Za-z0-9_]{1,255}$")] = "none",
) -> Response:
    """Where Stripe sends a customer back to; settles the payment itself if the webhook was slower."""
    if browser.caller is None:
        return to("/login?next=" + quote(f"/credits/success?session_id={session_id}"))
    try:
        settled = await fulfilment.return_from_checkout(ctx, browser.caller, session_id)
    except BillingError as refusal:
        return await _credits(ctx, browser, browser.caller, problem=refusal.message, status=404)
    wallet = await wallets.wallet_of_user(ctx, browser.caller, None)
    assert settled.checkout is not None
    return page(
        "success.html",
        browser,
        ctx,
        email=await _email(ctx, browser.caller),
        bought=grouped(settled.checkout.credits),
        balance=grouped(Credits(wallet.available_micro)),
        state=str(settled.checkout.status),
    )


async def _credits(
    ctx: Context,
    browser: Browser,
    caller: Caller,
    *,
    problem: str = "",
    cancelled: bool = False,
    status: int = 200,
) -> Response:
    wallet = await wallets.wallet_of_user(ctx, caller, None)
    lines = await transfers.history(ctx, caller, wallet.wallet_id, before=wallet.version + 1, limit=HISTORY)
    return page(
        "credits.html",
        browser,
        ctx,
        status=status,
        email=await _email(ctx, caller),
        balance=grouped(Credits(wallet.available_micro)),
        held=grouped(Credits(wallet.held_micro)) if wallet.held_micro else "",
        debt=grouped(Credits(wallet.debt_micro)) if wallet.debt_micro else "",
        products=[
            {
                "name": product.name,
                "credits": grouped(product.credits),
                "price": str(product.price),
                "reference": product.lookup_key,
            }
            for product in ctx.catalog.on_sale
            if product.mode == "payment"
        ],
        lines=[_line(line) for line in lines if "available" in (line.debit, line.credit)],
        problem=problem,
        cancelled=cancelled,
    )


def _login(
    ctx: Context,
    browser: Browser,
    *,
    then: str,
    given: str = "",
    problem: str = "",
    status: int = 200,
) -> Response:
    return page("login.html", browser, ctx, status=status, email="", next=then, given=given, problem=problem)


async def _email(ctx: Context, caller: Caller) -> str:
    assert caller.user_id is not None
    return (await users.get(ctx, caller, caller.user_id)).email


def _line(line: Transfer) -> dict[str, Any]:
    sign = "+" if line.credit == "available" else "−"
    return {
        "at": line.created_at.strftime("%Y-%m-%d %H:%M UTC"),
        "what": line.description or WHAT.get(line.kind, line.kind),
        "credits": f"{sign}{grouped(Credits(line.amount_micro))}",
    }


def _own_path(path: str) -> str:
    """A path of these pages; anything that could lead elsewhere becomes the start."""
    return path if path.startswith("/credits") and "\\" not in path else "/credits"

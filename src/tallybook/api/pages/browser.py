"""What pages share: the cookies of a signed-in browser, the security headers, and the check where a form came from."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tallybook.api.deps import Ctx
from tallybook.domain.errors import BillingError, PermissionDeniedError
from tallybook.domain.identity.callers import Caller
from tallybook.domain.money import Credits
from tallybook.usecases import sessions
from tallybook.usecases.context import Context

SESSION_COOKIE = "tallybook_session"
REFRESH_COOKIE = "tallybook_refresh"
_TEMPLATES = Environment(
    loader=PackageLoader("tallybook.api.pages"), autoescape=True, undefined=StrictUndefined
)


@dataclass(slots=True)
class Browser:
    """Who is signed in in this browser, and tokens that were renewed on the way and go back as cookies."""

    caller: Caller | None = None
    renewed: sessions.Tokens | None = None


async def _browser(request: Request, ctx: Ctx) -> Browser:
    token = request.cookies.get(SESSION_COOKIE)
    if token:
        try:
            return Browser(await sessions.authenticate(ctx, bearer=token, api_key=None))
        except BillingError:
            # Expired or revoked: the refresh cookie decides whether this browser is still signed in.
            pass
    return await _refreshed(ctx, request.cookies.get(REFRESH_COOKIE))


async def _refreshed(ctx: Context, refresh_token: str | None) -> Browser:
    if not refresh_token:
        return Browser()
    try:
        renewed = await sessions.refresh(ctx, refresh_token=refresh_token)
        tokens = renewed.tokens
        caller = await sessions.authenticate(ctx, bearer=tokens.session_token, api_key=None)
    except BillingError:
        return Browser()
    return Browser(caller, tokens)


BrowserDep = Annotated[Browser, Depends(_browser)]


def same_origin(request: Request) -> None:
    """Refuse a form that another site sent in the customer's name.

    Raises:
        PermissionDeniedError: the browser says that it came from elsewhere.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    foreign = origin not in (None, "null") and urlsplit(origin or "").netloc != request.headers.get("host")
    if foreign or origin == "null" or site not in (None, "same-origin", "none"):
        raise PermissionDeniedError("This form was sent from another site.")


def set_cookies(response: Response, tokens: sessions.Tokens, *, secure: bool) -> None:
    """Sign the browser in: two cookies that no script can read and no other site's form sends."""
    for name, value, path in (
        (SESSION_COOKIE, tokens.session_token, "/"),
        (REFRESH_COOKIE, tokens.refresh_token, "/"),
    ):
        response.set_cookie(
            name, value, path=path, httponly=True, secure=secure, samesite="lax", max_age=30 * 24 * 3600
        )


def clear_cookies(response: Response) -> None:
    """Sign the browser out."""
    for name in (SESSION_COOKIE, REFRESH_COOKIE):
        response.delete_cookie(name, path="/", httponly=True, samesite="lax")


def page(template: str, browser: Browser, ctx: Context, *, status: int = 200, **values: Any) -> Response:
    """Draw a template, with a policy that lets the page do nothing but show itself and send its forms."""
    nonce = secrets.token_urlsafe(16)
    text = _TEMPLATES.get_template(template).render(nonce=nonce, **values)
    response = HTMLResponse(text, status_code=status)
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; object-src 'none';"
        " frame-ancestors 'none'"
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "same-origin"
    if browser.renewed is not None:
        set_cookies(response, browser.renewed, secure=ctx.pages_url.startswith("https:"))
    return response


def to(url: str, browser: Browser | None = None, ctx: Context | None = None) -> Response:
    """Send the browser on, with GET; tokens that were renewed on the way go with it."""
    response = RedirectResponse(url, status_code=303)
    if browser is not None and ctx is not None and browser.renewed is not None:
        set_cookies(response, browser.renewed, secure=ctx.pages_url.startswith("https:"))
    return response


def grouped(credits: Credits) -> str:
    """Credits as people read them: ``5,500`` or ``0.25``."""
    whole, dot, rest = str(credits).partition(".")
    return f"{int(whole):,}{dot}{rest}"

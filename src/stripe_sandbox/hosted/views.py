"""What all hosted pages share: templates, headers, reading a form. Leaves the pages to the other modules."""

from pathlib import Path
from urllib.parse import parse_qsl

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from stripe_sandbox import cards, clocks, money
from stripe_sandbox.call import Call
from stripe_sandbox.sandbox import Sandbox

HERE = Path(__file__).parent
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
SEE_OTHER = 303
_PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True, trim_blocks=True
)
_PAGES.filters["money"] = money.shown
_PAGES.filters["digits"] = cards.grouped
_PAGES.filters["day"] = money.day
_PAGES.filters["moment"] = money.moment
_LARGEST_FORM = 20_000


def call_of(request: Request) -> Call:
    """Return a piece of work that only reads, at the time of the object in the path."""
    sandbox: Sandbox = request.app.state.sandbox
    call = sandbox.call(base(request))
    return clocks.at(call, call.store.get(request.path_params["id"]))


def base(request: Request) -> str:
    """Return the address of the hosted pages."""
    return str(request.base_url).rstrip("/")


async def typed(request: Request) -> dict[str, str]:
    """Return what was typed into a form."""
    body = await request.body()
    text = body[:_LARGEST_FORM].decode(errors="replace")
    return dict(parse_qsl(text, keep_blank_values=True))


def page(template: str, status: int = 200, **values: object) -> Response:
    """Render a template."""
    html = _PAGES.get_template(template).render(**values)
    return HTMLResponse(html, status_code=status, headers=HEADERS)


def notice(title: str, text: str, *, status: int = 200, link: str | None = None) -> Response:
    """Render a page of one sentence."""
    return page("notice.html", status, title=title, text=text, link=link)


def see(url: str) -> Response:
    """Lead on to another page after a form was taken."""
    return RedirectResponse(url, SEE_OTHER, headers={"Cache-Control": "no-store"})

"""The script that pages load instead of Stripe's, and the frames that it puts into them.

Frames may stand in any page, unlike the hosted ones. Leaves what they ask for to ``calls``.
"""

import hmac
import json
from functools import cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stripe_sandbox.elements import seen
from stripe_sandbox.hosted import views

_TRAINS = ("endive", "dahlia", "clover", "basil", "acacia")
_LAYOUTS = ("payment", "card")
_POLICY = "default-src 'self'; base-uri 'none'; form-action 'none'"


def routes() -> list[Route]:
    """Return the routes of the script, under every address that loaders know, and of the frames."""
    scripts = ["/v3/", *(f"/{train}/stripe.js" for train in _TRAINS)]
    return [
        *(Route(path, script, methods=["GET"]) for path in scripts),
        Route("/elements/{layout}", card_frame, methods=["GET"]),
        Route("/elements/3ds/{id}", threeds_frame, methods=["GET"]),
    ]


async def script(request: Request) -> Response:
    """Serve the script; it knows the address that it was fetched from, wherever a page has it from then."""
    text = _script().replace('"SANDBOX_URL"', json.dumps(views.base(request)))
    headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    return Response(text, media_type="text/javascript", headers=headers)


async def card_frame(request: Request) -> Response:
    """Show the fields of a card: labelled, or on one line."""
    layout = request.path_params["layout"]
    if layout not in _LAYOUTS:
        return views.notice("Page not found", "There is no such element.", status=404)
    return _framed(views.page("element_card.html", layout=layout))


async def threeds_frame(request: Request) -> Response:
    """Show the bank's question about an intent to whoever has its client secret."""
    call = views.call_of(request)
    intent = call.store.get(request.path_params["id"])
    secret = request.query_params.get("client_secret", "")
    known = intent is not None and intent["object"] in seen.KINDS
    if (
        intent is None
        or not known
        or not hmac.compare_digest(intent["client_secret"].encode(), secret.encode())
    ):
        return views.notice("Nothing to confirm", "This payment needs no authentication.", status=404)
    return _framed(views.page("element_3ds.html", intent=intent))


@cache
def _script() -> str:
    return (views.HERE / "assets" / "stripe.js").read_text(encoding="utf-8")


def _framed(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    return response

"""Draws what is no success: a refusal as whoever calls the path expects it, and a bug without its details."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse

from tallybook.api.families import envelopes
from tallybook.api.problems import native
from tallybook.domain.errors import BillingError


def drawn(refusal: BillingError, path: str) -> JSONResponse:
    """The refusal as whoever calls this path expects it."""
    return envelopes.drawn(refusal, path) if path.startswith("/api/") else native(refusal)


async def failed(request: Request, _: Exception) -> JSONResponse:
    """A bug: the details are in the log under the request id; a stranger gets none of them."""
    body = {
        "title": "Internal error",
        "status": 500,
        "code": "internal_error",
        "detail": "Something went wrong on our side. Retry with the same key; quote the Request-Id.",
        "request_id": getattr(request.state, "request_id", ""),
    }
    return JSONResponse(body, status_code=500)

"""How each seed family draws a refusal, from the same code, sentence and facts as the native API."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from tallybook.api.problems import STATUS, headers_of
from tallybook.domain.errors import BillingError

# Documents 002 and 004 answer {"success": …}; 000, 001 and 003 answer {"detail": …}.
_SUCCESS_STYLE = ("/api/credits", "/api/v1")


def drawn(refusal: BillingError, path: str) -> JSONResponse:
    """The refusal in the envelope of the family that the path belongs to."""
    body: dict[str, Any] = {**refusal.facts, "detail": refusal.message, "code": refusal.code}
    if path.startswith(_SUCCESS_STYLE):
        body |= {
            "success": False,
            "error": {"code": refusal.code, "message": refusal.message},
        }
    return JSONResponse(body, status_code=STATUS[refusal.code], headers=headers_of(refusal))

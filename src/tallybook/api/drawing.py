"""Draws a refusal as the path's own: problem details for the native API, an envelope for each seed family."""

from __future__ import annotations

from starlette.responses import JSONResponse

from tallybook.api.families import envelopes
from tallybook.api.problems import native
from tallybook.domain.errors import BillingError


def drawn(refusal: BillingError, path: str) -> JSONResponse:
    """The refusal as whoever calls this path expects it."""
    return envelopes.drawn(refusal, path) if path.startswith("/api/") else native(refusal)

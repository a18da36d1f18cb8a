"""Refuses bodies over the limit before anything reads them whole."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tallybook.api.families import envelopes
from tallybook.api.problems import native
from tallybook.domain.errors import RequestTooLargeError

BODY_BYTES_MAX = 1_048_576


class BodyLimit:
    """ASGI middleware: 413 for a body over ``BODY_BYTES_MAX``, declared or counted."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the app."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through unless its body is too large."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        declared = request.headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > BODY_BYTES_MAX:
            await self._refuse(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > BODY_BYTES_MAX:
                raise RequestTooLargeError(limit_bytes=BODY_BYTES_MAX)
            return message

        # Raised inside a route it is drawn there; a request without a declared length can only be caught there.
        await self._app(scope, counted, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = RequestTooLargeError(limit_bytes=BODY_BYTES_MAX)
        path = scope["path"]
        drawn = envelopes.drawn(refusal, path) if path.startswith("/api/") else native(refusal)
        drawn.headers["Connection"] = "close"
        await drawn(scope, receive, send)

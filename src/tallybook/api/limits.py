"""Refuses bodies over the limit before anything reads them whole."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tallybook.api.drawing import drawn
from tallybook.domain.errors import RequestTooLargeError

BODY_BYTES_MAX = 1_048_576
BATCH_BYTES_MAX = 4 * BODY_BYTES_MAX
"""What ten thousand items need."""


def limit_of(path: str) -> int:
    """How many bytes the body of a request to this path may have."""
    return BATCH_BYTES_MAX if path == "/v1/transfers/batch" else BODY_BYTES_MAX


class BodyLimit:
    """ASGI middleware: 413 for a body over the limit of its path, declared or counted."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the app."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through unless its body is too large."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        limit = limit_of(scope["path"])
        declared = request.headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > limit:
            await self._refuse(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise RequestTooLargeError(limit_bytes=limit)
            return message

        # Raised inside a route it is drawn there; a request without a declared length can only be caught there.
        await self._app(scope, counted, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = RequestTooLargeError(limit_bytes=limit_of(scope["path"]))
        answer = drawn(refusal, scope["path"])
        answer.headers["Connection"] = "close"
        await answer(scope, receive, send)

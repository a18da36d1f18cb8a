"""Gives each request an id and one log line; headers, bodies and query strings are never logged."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = structlog.get_logger("tallybook.http")
_GIVEN_ID = re.compile(rb"[A-Za-z0-9_.-]{8,64}")
_NO_SNIFF = (b"x-content-type-options", b"nosniff")

LogRequest = Callable[[str, str, int, float, str], None]
"""Writes the line of a request: method, path, status, milliseconds, request id."""

CountRequest = Callable[[str, str, int, float], None]
"""Counts a request: method, the path of its route, status, seconds."""
NO_ROUTE = "none"


def log_request(method: str, path: str, status: int, milliseconds: float, request_id: str) -> None:
    """The line of a request as structlog is set up to write it; the id is bound to all lines of the request."""
    del request_id
    _log.info("request", method=method, path=path, status=status, milliseconds=milliseconds)


class RequestLog:
    """ASGI middleware: the ``Request-Id`` header in and out, bound to every log line in between."""

    def __init__(self, app: ASGIApp, *, log: LogRequest, count: CountRequest) -> None:
        """Wrap the app; ``log`` writes the line, ``count`` counts."""
        self._app = app
        self._log = log
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, then log it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _given_id(scope) or f"req_{os.urandom(16).hex()}"
        scope.setdefault("state", {})["request_id"] = request_id
        added = ((b"request-id", request_id.encode()), _NO_SNIFF)
        status = 500
        started = time.perf_counter()

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        bound = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, sending)
        finally:
            seconds = time.perf_counter() - started
            route = scope.get("route")
            path = NO_ROUTE if route is None else route.path
            self._log(scope["method"], scope["path"], status, round(seconds * 1000, 2), request_id)
            self._count(scope["method"], path, status, seconds)
            structlog.contextvars.reset_contextvars(**bound)


def _given_id(scope: Scope) -> str | None:
    """The id that the caller gave, the first if there are several, if it has the form of one."""
    for name, value in scope["headers"]:
        if name == b"request-id":
            return str(value.decode()) if _GIVEN_ID.fullmatch(value) else None
    return None

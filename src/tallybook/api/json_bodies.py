"""Reads JSON bodies strictly: what PostgreSQL or the ledger could not hold is refused at the door.

Python's parser takes NaN, lone surrogates and NUL characters; none of them can be stored as text or as an amount.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from tallybook.domain.errors import InvalidRequestError

DEPTH_MAX = 32
TEXT_MESSAGE = "Text in the body must be valid Unicode without NUL characters."


def parse(raw: bytes) -> Any:
    """The value of a JSON text.

    Raises:
        InvalidRequestError: not JSON, NaN or Infinity, nested over 32 levels, or text that cannot be stored.
    """
    try:
        value = json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as problem:
        raise InvalidRequestError(f"The body is not valid JSON: {problem}"[:300]) from None
    _check(value, 0)
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _check(value: Any, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise InvalidRequestError(f"The body is nested more than {DEPTH_MAX} levels deep.")
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= c <= "\udfff" for c in value):
            raise InvalidRequestError(TEXT_MESSAGE)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check(key, depth)
            _check(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)


class _StrictRequest(Request):
    async def json(self) -> Any:
        if not hasattr(self, "_strict_json"):
            self._strict_json = parse(await self.body())
        return self._strict_json


class StrictJsonRoute(APIRoute):
    """A route whose JSON body is read by ``parse``."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Hand the strict request to FastAPI's own handler."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await handler(_StrictRequest(request.scope, request.receive))

        return handle

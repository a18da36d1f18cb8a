"""Reads JSON bodies strictly: what PostgreSQL or the ledger could not hold is refused at the door.

Python's parser takes NaN, numbers beyond a double, a name given twice, lone surrogates and NUL characters; none of
them can be stored as text or as an amount, or says one thing only.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Coroutine
from email.message import Message
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from tallybook.domain.errors import InvalidRequestError

DEPTH_MAX = 32
_SURROGATE = re.compile("[\ud800-\udfff]")
TEXT_MESSAGE = "Text in the body must be valid Unicode without NUL characters."


def parse(raw: bytes) -> Any:
    """The value of a JSON text.

    Raises:
        InvalidRequestError: not JSON, NaN or Infinity, a name given twice, nested over 32 levels, or text that cannot
            be stored.
    """
    try:
        # UTF-8 and nothing else (RFC 8259 section 8.1); left to itself the parser guesses UTF-16 and UTF-32 too.
        value = _DECODER.decode(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as problem:
        raise InvalidRequestError(f"The body is not valid JSON: {_speakable(problem)}") from None
    _check(value, 0)
    return value


def _speakable(problem: Exception) -> str:
    # The sentence may quote the body; a surrogate in it could not be sent back.
    return str(problem).encode("utf-8", "replace").decode()[:250]


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is given twice in one object")
    return found


_DECODER = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_named_once
)


def _check(value: Any, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise InvalidRequestError(f"The body is nested more than {DEPTH_MAX} levels deep.")
    if isinstance(value, str):
        if "\x00" in value or not (value.isascii() or _SURROGATE.search(value) is None):
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

    @property
    def says_json(self) -> bool:
        """Whether FastAPI will read the body as JSON; bytes of any other type are refused by the body's model."""
        head = Message()
        head["content-type"] = self.headers.get("content-type") or "none/none"
        kind = head.get_content_subtype()
        return head.get_content_maintype() == "application" and (kind == "json" or kind.endswith("+json"))


class StrictJsonRoute(APIRoute):
    """A route whose JSON body is read by ``parse``."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Hand the strict request to FastAPI's own handler."""
        handler = super().get_route_handler()
        takes_json = self.body_field is not None

        async def handle(request: Request) -> Response:
            strict = _StrictRequest(request.scope, request.receive)
            # Read here: FastAPI's reader would turn our refusals, a body over the limit too, into a bare 400.
            raw = await strict.body()
            if takes_json and raw and strict.says_json:
                await strict.json()
            return await handler(strict)

        return handle

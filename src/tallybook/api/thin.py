"""The few hot routes, in front of the framework: the same endpoint functions and models, without its machinery.

A thin route is read off the framework's route, so there is nothing to keep in step. It goes the sunny road only: what
it does not find as plain as expected (another content type, a header twice, a value that does not validate, a browser's
``Origin``) it hands to the framework with the body as it came, and the framework draws the refusal. What a use case
refuses is drawn here by the same functions.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_type_hints

from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tallybook.api import deps, drawing, json_bodies
from tallybook.api.limits import BODY_BYTES_MAX
from tallybook.domain.errors import BillingError
from tallybook.usecases.context import Context

_NUMBER = re.compile(r"[1-9][0-9]{0,15}")
_JSON = frozenset(
    {b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8"}
)
_WANTED = frozenset(
    {
        b"authorization",
        b"x-api-key",
        b"idempotency-key",
        b"stripe-signature",
        b"content-type",
        b"content-length",
    }
)
# Who sends one of these wants more than the sunny road: browsers (CORS), those who resume, bodies of unknown length.
_FRAMEWORKS = frozenset({b"origin", b"resume-token", b"transfer-encoding", b"content-encoding"})
# What the framework's CORS says to whoever sends no Origin.
_VARY = (b"vary", b"Origin")
_GIVEN = frozenset({"ctx", "caller", "key", "api_key", "resume", "response", "body", "raw", "signature"})
Headers = Mapping[bytes, bytes]


class _HandOverError(Exception):
    """Not the sunny road: the framework answers."""


class _Response:
    """As much of a response as endpoints use: its headers."""

    __slots__ = ("headers",)

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinRoute:
    """What is read off a route of the framework."""

    method: str
    path: str
    pattern: re.Pattern[str]
    endpoint: Callable[..., Any]
    status: int
    names: frozenset[str]
    body: type[BaseModel] | None
    key_is_required: bool
    path_numbers: Mapping[str, TypeAdapter[Any]]
    query_numbers: Mapping[str, TypeAdapter[Any]]

    @classmethod
    def of(cls, route: APIRoute) -> ThinRoute:
        """The thin form of a route; a parameter that is not understood is a bug, found at the start."""
        hints = get_type_hints(route.endpoint, include_extras=True)
        shape = hints.pop("return")
        assert issubclass(shape, BaseModel), route.path
        in_path = set(re.findall(r"{(\w+)}", route.path))
        others = {name: TypeAdapter(hint) for name, hint in hints.items() if name not in _GIVEN}
        [method] = list(route.methods or ())
        assert method == "GET" or others.keys() == in_path, (route.path, others.keys())
        return cls(
            method=method,
            path=route.path,
            pattern=re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", route.path)),
            endpoint=route.endpoint,
            status=route.status_code or 200,
            names=frozenset(hints),
            body=hints.get("body"),
            key_is_required=hints.get("key") == deps.IdempotencyKey,
            path_numbers={name: others[name] for name in in_path if hints[name] is not str},
            query_numbers={name: others[name] for name in others.keys() - in_path},
        )


class ThinRoutes:
    """ASGI middleware: answers the thin routes, passes everything else on."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        routes: Sequence[APIRoute],
        context: Callable[[], Context],
        failed: Callable[[Request, Exception], Awaitable[Response]],
    ) -> None:
        """Answer these routes; the context is there once the app has started, ``failed`` draws a bug."""
        self._app = app
        self._context = context
        self._failed = failed
        self._exact: dict[tuple[str, str], ThinRoute] = {}
        self._matching: list[ThinRoute] = []
        self._heads: tuple[str, ...] = ()
        for route in routes:
            self.add(route)

    def add(self, route: APIRoute) -> None:
        """Answer this route as well."""
        thin = ThinRoute.of(route)
        head, brace, _ = thin.path.partition("{")
        if not brace:
            self._exact[thin.method, thin.path] = thin
            return
        self._matching.append(thin)
        # Each pattern begins with its own plain text, so most paths are told apart without trying any.
        self._heads = (*self._heads, head)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on as it came."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        found = self._found(scope)
        if found is None:
            await self._app(scope, receive, send)
            return
        route, values = found
        seen: list[Message] = []
        try:
            headers = _headers(scope)
            arguments = _arguments(route, values, scope["query_string"], headers)
            if route.body is not None:
                arguments["body"] = _body(route.body, await _raw(headers, receive, seen))
            elif "raw" in route.names:
                arguments["raw"] = await _raw(headers, receive, seen)
        except _HandOverError:
            await self._app(scope, _again(seen, receive) if seen else receive, send)
            return
        scope["route"] = route
        ctx = self._context()
        if "ctx" in route.names:
            arguments["ctx"] = ctx
        try:
            if "caller" in route.names:
                arguments["caller"] = await deps.caller_of(
                    ctx,
                    authorization=_text(headers.get(b"authorization")),
                    api_key=_text(headers.get(b"x-api-key")),
                )
            shape = await route.endpoint(**arguments)
        except BillingError as refusal:
            answer = drawing.drawn(refusal, scope["path"])
            answer.headers["Vary"] = "Origin"
            await answer(scope, receive, send)
            return
        except Exception as bug:
            # As the framework does: the caller is answered, and the server logs what happened.
            await (await self._failed(Request(scope), bug))(scope, receive, send)
            raise
        await _send(route, shape, arguments.get("response"), send)

    def _found(self, scope: Scope) -> tuple[ThinRoute, Mapping[str, str]] | None:
        path = scope["path"]
        exact = self._exact.get((scope["method"], path))
        if exact is not None:
            return exact, {}
        if path.startswith(self._heads):
            for route in self._matching:
                match = route.pattern.fullmatch(path) if route.method == scope["method"] else None
                if match is not None:
                    return route, match.groupdict()
        return None


def _arguments(route: ThinRoute, values: Mapping[str, str], query: bytes, headers: Headers) -> dict[str, Any]:
    """What the endpoint is given, but for the context, the caller and the body."""
    arguments: dict[str, Any] = {}
    for name, text in values.items():
        adapter = route.path_numbers.get(name)
        arguments[name] = text if adapter is None else _number(adapter, text)
    if query:
        name, _, text = query.decode("latin-1").partition("=")
        if name not in route.query_numbers:
            raise _HandOverError
        arguments[name] = _number(route.query_numbers[name], text)
    if "key" in route.names:
        arguments["key"] = _key(route, headers)
    if "api_key" in route.names:
        arguments["api_key"] = _text(headers.get(b"x-api-key"))
    if "signature" in route.names:
        arguments["signature"] = _text(headers.get(b"stripe-signature"))
    if "response" in route.names:
        arguments["response"] = _Response()
    takes_body = route.body is not None or "raw" in route.names
    if not takes_body and headers.get(b"content-length", b"0") != b"0":
        raise _HandOverError
    return arguments


async def _send(route: ThinRoute, shape: BaseModel, response: _Response | None, send: Send) -> None:
    raw = shape.__pydantic_serializer__.to_json(shape, by_alias=True)
    headers = [(b"content-length", str(len(raw)).encode()), (b"content-type", b"application/json")]
    if response is not None:
        headers += [(name.lower().encode(), value.encode()) for name, value in response.headers.items()]
    headers.append(_VARY)
    await send({"type": "http.response.start", "status": route.status, "headers": headers})
    await send({"type": "http.response.body", "body": raw})


def _headers(scope: Scope) -> Headers:
    """The headers that thin routes look at, each once."""
    found: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in _WANTED:
            if name in found:
                raise _HandOverError
            found[name] = value
        elif name in _FRAMEWORKS:
            raise _HandOverError
    return found


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def _number(adapter: TypeAdapter[Any], text: str) -> int:
    """A number in a path or a query, written as numbers are and within the bounds of its annotation."""
    if not _NUMBER.fullmatch(text):
        raise _HandOverError
    try:
        return int(adapter.validate_python(int(text)))
    except ValidationError:
        raise _HandOverError from None


def _key(route: ThinRoute, headers: Headers) -> str | None:
    key = _text(headers.get(b"idempotency-key"))
    try:
        key = deps.optional_key(key)
    except BillingError:
        raise _HandOverError from None
    if key is None and route.key_is_required:
        raise _HandOverError
    return key


async def _raw(headers: Headers, receive: Receive, seen: list[Message]) -> bytes:
    length = headers.get(b"content-length", b"")
    if not length.isdigit() or int(length) > BODY_BYTES_MAX or headers.get(b"content-type") not in _JSON:
        raise _HandOverError
    size = 0
    while True:
        message = await receive()
        seen.append(message)
        if message["type"] != "http.request":
            raise _HandOverError
        size += len(message.get("body", b""))
        if size > BODY_BYTES_MAX:
            raise _HandOverError
        if not message.get("more_body", False):
            break
    return seen[0].get("body", b"") if len(seen) == 1 else b"".join(one.get("body", b"") for one in seen)


def _body(model: type[BaseModel], raw: bytes) -> BaseModel:
    try:
        return model.model_validate(json_bodies.parse(raw))
    except (BillingError, ValidationError):
        raise _HandOverError from None


def _again(seen: Sequence[Message], receive: Receive) -> Receive:
    """What was received already, and then what comes."""
    left = list(reversed(seen))

    async def receive_again() -> Message:
        return left.pop() if left else await receive()

    return receive_again

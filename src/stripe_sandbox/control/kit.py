"""What all commands of the control desk share: JSON in, JSON or a Stripe-shaped error out."""

import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json
from stripe_sandbox.sandbox import Sandbox

Command = Callable[[Request, Json], Awaitable[Json]]


def post(path: str, command: Command) -> Route:
    """Return the route of a command."""
    return Route(f"/_sandbox/{path}", answered(command), methods=["POST"])


def answered(
    handler: Command,
) -> Callable[[Request], Awaitable[JSONResponse]]:
    """Wrap a command: JSON body in, JSON or Stripe-shaped error out."""

    async def endpoint(request: Request) -> JSONResponse:
        try:
            body = await request.body()
            return JSONResponse(await handler(request, _object(body)))
        except ApiError as refusal:
            return JSONResponse(refusal.body(), status_code=refusal.status)
        except ValueError as problem:
            error = {"message": f"Bad request: {problem}", "type": "invalid_request_error"}
            return JSONResponse({"error": error}, status_code=HTTPStatus.BAD_REQUEST)

    return endpoint


def _object(body: bytes) -> Json:
    given = json.loads(body) if body else {}
    if not isinstance(given, dict):
        message = "The body must be a JSON object."
        raise ApiError(message)
    return given


def work(request: Request, params: Json | None = None) -> AbstractContextManager[Call]:
    """Open a transaction at the time of the object that the path names."""
    sandbox: Sandbox = request.app.state.sandbox
    return sandbox.work(str(request.base_url).rstrip("/"), params, request.path_params.get("id", ""))

"""The service as ``tallybook serve`` runs it, plus one route of the bench's: a POST that does nothing.

The no-op goes through the same middleware, strict JSON reading and validation as a spend; it looks up no
caller and asks no database. Settings come from the environment; the listening socket is handed over.
"""

from __future__ import annotations

import socket
import sys

import uvicorn
from fastapi import APIRouter

from tallybook import app, settings, telemetry
from tallybook.api.deps import IdempotencyKey, Shape
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.api.v1.transfers import TransferBody

NO_OP = "/v1/bench/no-op"


class Nothing(Shape):
    """What the no-op answers."""

    amount_micro: int
    key: str


def _no_op() -> APIRouter:
    router = APIRouter(route_class=StrictJsonRoute)

    @router.post(NO_OP, status_code=201)
    async def no_op(key: IdempotencyKey, body: TransferBody) -> Nothing:
        return Nothing(amount_micro=body.amount_micro, key=key)

    return router


def main() -> None:
    """Serve on the socket whose descriptor is the first argument, until SIGTERM."""
    given = settings.load(_env_file=None)
    telemetry.configure(level=given.log_level, as_json=given.log_format == "json")
    installation = app.install(given)
    api = app.make_api(given, installation, worker=False)
    api.include_router(_no_op())
    listening = socket.socket(fileno=int(sys.argv[1]))
    server = uvicorn.Server(uvicorn.Config(api, log_config=None, access_log=False, server_header=False))
    server.run(sockets=[listening])


if __name__ == "__main__":
    main()

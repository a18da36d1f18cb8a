"""The service as ``tallybook serve`` runs it, plus a POST that does nothing, on both roads that requests take.

The no-op goes through all that a spend goes through in front of its use case: the log, the limits, the caller, strict
JSON and validation. On the thin road it is answered as the hot routes are, on the other one by the framework. Settings
come from the environment; the listening socket is handed over.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import uvicorn
from fastapi import APIRouter
from fastapi.routing import APIRoute

from tallybook import app, settings, telemetry
from tallybook.api import server
from tallybook.api.deps import CallerDep, IdempotencyKey, Shape
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.api.server import Service
from tallybook.api.v1.transfers import TransferBody
from tallybook.postgres.group_commit import GroupCommit
from tallybook.usecases.context import Context

NO_OP = "/v1/bench/no-op"
FRAMEWORKS_NO_OP = "/v1/bench/no-op-of-the-framework"


class Nothing(Shape):
    """What the no-op answers."""

    amount_micro: int
    key: str


def _add_no_ops(api: Service) -> None:
    router = APIRouter(route_class=StrictJsonRoute)

    @router.post(FRAMEWORKS_NO_OP, status_code=201)
    @router.post(NO_OP, status_code=201)
    async def no_op(caller: CallerDep, key: IdempotencyKey, body: TransferBody) -> Nothing:
        assert caller.by_key
        return Nothing(amount_micro=body.amount_micro, key=key)

    api.include_router(router)
    [route] = [one for one in router.routes if isinstance(one, APIRoute) and one.path == NO_OP]
    api.thin.add(route)


def _with_queue(given: settings.Settings, installation: app.Installation, waiting_max: int) -> Service:
    """The same service, but with another bound on how many postings wait."""

    @asynccontextmanager
    async def serving() -> AsyncIterator[Context]:
        async with app.open_context(given, installation) as context, context.known.listening():
            queue = GroupCommit(context.db, context.clock, waiting_max=waiting_max)
            try:
                yield replace(context, group_commit=queue)
            finally:
                await queue.close()

    lines = telemetry.request_lines(level=given.log_level, as_json=given.log_format == "json")
    return server.create(serving, allowed_origins=(), version="bench", log=lines)


def main() -> None:
    """Serve on the socket whose descriptor is the first argument, until SIGTERM."""
    given = settings.load(_env_file=None)
    telemetry.configure(level=given.log_level, as_json=given.log_format == "json")
    installation = app.install(given)
    waiting_max = os.environ.get("BENCH_WAITING_MAX")
    if waiting_max is None:
        api = app.make_api(given, installation, worker=False)
    else:
        api = _with_queue(given, installation, int(waiting_max))
    _add_no_ops(api)
    listening = socket.socket(fileno=int(sys.argv[1]))
    serving = uvicorn.Server(
        uvicorn.Config(
            api, log_config=None, access_log=False, server_header=False, loop="uvloop", http="httptools"
        )
    )
    serving.run(sockets=[listening])


if __name__ == "__main__":
    main()

"""The ways that the service is compared with, through HTTP: a FastAPI app as one would write it, for the bench only.

It checks no key, keeps no log and knows no limits: it does less for a request than the service does. The routes of the
row lock bear the number of connections that they use. What it works on comes from the environment; the listening socket
is handed over.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import stripe
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel

from bench.ways.lanes import Lanes
from bench.ways.row_lock import RowLockWay
from bench.ways.seeds import SeedsWay

NO_OP = "/no-op"
ROW_LOCK = "/row-lock"
SEEDS = "/seeds"
SEEDS_CONNECTIONS = 64
ROW_LOCK_TABLE = "row_lock_http"
SEEDS_TABLE = "seeds_http"
WEBHOOK = "/webhook"
WEBHOOK_TABLE = "webhook_events"
WEBHOOK_CONNECTIONS = 16
MICRO = 1_000_000


class SpendBody(BaseModel):
    """What is asked for; the same body as the service's."""

    user_id: int
    type: str
    amount_micro: int


class Spent(BaseModel):
    """What is answered."""

    user_id: int
    amount_micro: int


def make_app(database_url: str, connections_tried: list[int]) -> FastAPI:
    """The app, with a route of the row lock for each number of connections."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            Lanes.opened(database_url, max(connections_tried)) as locking,
            Lanes.opened(database_url, SEEDS_CONNECTIONS) as summing,
        ):
            for count in connections_tried:
                app.state.row_lock[count] = RowLockWay(locking.first(count), ROW_LOCK_TABLE)
            app.state.seeds = SeedsWay(summing, SEEDS_TABLE)
            yield

    app = FastAPI(lifespan=lifespan)
    app.state.row_lock = {}

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post(NO_OP, status_code=201)
    async def no_op(body: SpendBody) -> Spent:
        return Spent(user_id=body.user_id, amount_micro=body.amount_micro)

    @app.post(SEEDS, status_code=201)
    async def spend_by_sum(body: SpendBody) -> Spent:
        if not await app.state.seeds.spend(body.user_id, body.amount_micro // MICRO):
            raise HTTPException(402)
        return Spent(user_id=body.user_id, amount_micro=body.amount_micro)

    for count in connections_tried:
        _add_row_lock(app, count)
    return app


def make_webhook_app(database_url: str, secret: str) -> FastAPI:
    """An app that takes Stripe's events in: Stripe's own check of the signature, and one INSERT over a pool."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with asyncpg.create_pool(database_url, max_size=WEBHOOK_CONNECTIONS) as pool:
            await pool.execute(
                f"CREATE TABLE IF NOT EXISTS {WEBHOOK_TABLE} (event_id text PRIMARY KEY, type text NOT NULL, "
                "raw bytea NOT NULL, received_at timestamptz NOT NULL DEFAULT now())"
            )
            app.state.pool = pool
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post(WEBHOOK)
    async def webhook(request: Request) -> dict[str, bool]:
        raw = await request.body()
        event = stripe.Webhook.construct_event(raw, request.headers["stripe-signature"], secret)
        await app.state.pool.execute(
            f"INSERT INTO {WEBHOOK_TABLE} (event_id, type, raw) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            event.id,
            event.type,
            raw,
        )
        return {"received": True}

    return app


def _add_row_lock(app: FastAPI, count: int) -> None:
    @app.post(f"{ROW_LOCK}/{count}", status_code=201)
    async def spend_by_lock(body: SpendBody) -> Spent:
        if not await app.state.row_lock[count].spend(body.user_id, body.amount_micro // MICRO):
            raise HTTPException(402)
        return Spent(user_id=body.user_id, amount_micro=body.amount_micro)


def main() -> None:
    """Serve on the socket whose descriptor is the first argument, until SIGTERM."""
    url, secret = os.environ["BENCH_DATABASE_URL"], os.environ.get("BENCH_WEBHOOK_SECRET")
    if secret is not None:
        app = make_webhook_app(url, secret)
    else:
        app = make_app(url, json.loads(os.environ["BENCH_CONNECTIONS"]))
    listening = socket.socket(fileno=int(sys.argv[1]))
    server = uvicorn.Server(
        uvicorn.Config(
            app, log_config=None, access_log=False, server_header=False, loop="uvloop", http="httptools"
        )
    )
    server.run(sockets=[listening])


if __name__ == "__main__":
    main()

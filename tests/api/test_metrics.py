"""What is counted at /metrics, and who may look."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import psycopg
import pytest
import pytest_asyncio
from databases import FrozenClock, TestDatabase
from fastapi import FastAPI
from payments.desk import signed

from tallybook.api import server
from tallybook.domain.identity.callers import Caller
from tallybook.domain.identity.people import Role
from tallybook.domain.money import Credits
from tallybook.postgres.pool import Database
from tallybook.usecases import apps, intake, sessions, users, wallets
from tallybook.usecases.context import Context

PASSWORD = "a good long password"
OPERATOR = Caller(is_admin=True)
STATUSES = ("received", "retry", "processing")


@pytest_asyncio.fixture
async def app(ctx: Context) -> AsyncIterator[FastAPI]:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Context]:
        yield ctx

    made = server.create(opened, allowed_origins=(), version="0")
    async with made.router.lifespan_context(made):
        yield made


def client(app: FastAPI, address: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, client=(address, 4711))
    return httpx.AsyncClient(transport=transport, base_url="http://testserver")


async def token(ctx: Context, role: Role) -> dict[str, str]:
    email = f"{role}@example.com"
    await users.create_user(ctx, email, PASSWORD, role)
    signed = await sessions.sign_in(ctx, email=email, password=PASSWORD)
    return {"Authorization": f"Bearer {signed.tokens.session_token}"}


def value(text: str, sample: str) -> float:
    found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
    assert found is not None, f"{sample} is not in\n{text}"
    return float(found[1])


async def test_requests_and_batches_are_counted(app: FastAPI, ctx: Context) -> None:
    made = await apps.register(ctx, OPERATOR, name="app")
    user = await users.create_user(ctx, "ada@example.com", PASSWORD)
    await wallets.grant(ctx, OPERATOR, user_id=user.user_id, credits=Credits.whole(5), key=None)
    async with client(app, "127.0.0.1") as http:
        for number in range(7):
            body = {"user_id": user.user_id, "amount_micro": 1_000_000}
            headers = {"X-API-Key": made.issued.secret, "Idempotency-Key": f"k{number}"}
            await http.post("/v1/transfers", json=body, headers=headers)
        await http.get("/v1/transfers/trf_1_1", headers={"X-API-Key": made.issued.secret})
        await http.get("/nowhere")
        await http.request("INVENTED", "/nowhere")
        text = (await http.get("/metrics")).text

    by = 'tallybook_requests_total{{method="{}",route="{}",status="{}"}}'.format
    assert value(text, by("POST", "/v1/transfers", 201)) == 5
    assert value(text, by("POST", "/v1/transfers", 402)) == 2
    assert value(text, by("GET", "/v1/transfers/{transfer}", 200)) == 1
    assert value(text, by("GET", "none", 404)) == 1
    assert value(text, by("other", "none", 404)) == 1
    assert value(text, 'tallybook_request_seconds_count{route="/v1/transfers"}') == 7
    assert value(text, 'tallybook_request_seconds_bucket{le="+Inf",route="/v1/transfers"}') == 7
    assert value(text, "tallybook_batch_size_count") == 7
    assert value(text, "tallybook_batch_size_sum") == 7
    assert value(text, "tallybook_postings_waiting") == 0
    assert value(text, "tallybook_postings_shed_total") == 0
    assert value(text, "process_cpu_seconds_total") > 0


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_whoever_has_the_machine_may_look(app: FastAPI, address: str) -> None:
    async with client(app, address) as http:
        assert (await http.get("/metrics")).status_code == 200


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Forwarded", "Via"]
)
async def test_a_proxy_on_the_machine_speaks_for_somebody_else(app: FastAPI, header: str) -> None:
    async with client(app, "127.0.0.1") as http:
        answer = await http.get("/metrics", headers={header: "127.0.0.1"})

    assert (answer.status_code, answer.json()["code"]) == (401, "authentication_required")


async def test_from_elsewhere_only_an_admin_of_the_house_may_look(app: FastAPI, ctx: Context) -> None:
    made = await apps.register(ctx, OPERATOR, name="app")
    async with client(app, "192.0.2.7") as http:
        nobody = await http.get("/metrics")
        admin = await http.get("/metrics", headers=await token(ctx, Role.ADMIN))
        customer = await http.get("/metrics", headers=await token(ctx, Role.CUSTOMER))
        key = await http.get("/metrics", headers={"X-API-Key": made.issued.secret})

    assert admin.status_code == 200
    refused = [(answer.status_code, answer.json()["code"]) for answer in (nobody, customer, key)]
    assert refused == [
        (401, "authentication_required"),
        (403, "admin_required"),
        (403, "admin_required"),
    ]


async def test_a_token_that_does_not_count_is_refused_also_on_the_machine(app: FastAPI) -> None:
    async with client(app, "127.0.0.1") as http:
        answer = await http.get("/metrics", headers={"Authorization": "Bearer x"})

    assert answer.status_code == 401


async def test_the_inbox_and_the_versions_that_come_in_are_shown(
    app: FastAPI, ctx: Context, clock: FrozenClock, database: TestDatabase
) -> None:
    secret = "whsec_" + "of_the_tests"
    asked = replace(ctx, webhook_secrets={"v1": (secret,)})
    for number, version in enumerate(("2026-10-28.endive", "2031-01-01.zinnia", "2031-01-01.zinnia", None)):
        body = {
            "id": f"evt_{number}",
            "object": "event",
            "type": "checkout.session.expired",
            "api_version": version,
            "livemode": False,
            "created": 1763700000,
            "data": {"object": {"id": "cs_1"}},
        }
        raw = json.dumps(body).encode()
        signature = signed(raw, secret=secret, at=clock())
        await intake.receive(asked, path="v1", raw=raw, signature=signature)
        clock.advance(seconds=90)
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("UPDATE tallybook.stripe_events SET status = 'dead' WHERE event_id = 'evt_0'")
        connection.execute("UPDATE tallybook.stripe_events SET status = 'retry' WHERE event_id = 'evt_1'")
        connection.execute(
            "UPDATE tallybook.stripe_events SET status = 'dead', outcome = 'given_up' WHERE event_id = 'evt_3'"
        )
    async with client(app, "127.0.0.1") as http:
        text = (await http.get("/metrics")).text

    waiting = {status: value(text, f'tallybook_inbox_events{{status="{status}"}}') for status in STATUSES}
    assert waiting == {"received": 1, "retry": 1, "processing": 0}
    assert value(text, "tallybook_inbox_dead") == 1
    assert value(text, "tallybook_inbox_oldest_seconds") == value(text, "tallybook_inbox_lag_seconds") == 270
    seen = 'tallybook_stripe_version_seen_seconds{{tested="{}",version="{}"}}'.format
    now = clock().timestamp()
    assert value(text, seen("yes", "2026-10-28.endive")) == now - 360
    assert value(text, seen("no", "2031-01-01.zinnia")) == now - 180
    assert value(text, seen("yes", "none")) == now - 90


async def test_what_the_process_counts_is_shown_while_the_database_is_away(ctx: Context) -> None:
    away = await Database.connect(ctx.db._url)
    await away.close()

    @asynccontextmanager
    async def opened() -> AsyncIterator[Context]:
        yield replace(ctx, db=away)

    made = server.create(opened, allowed_origins=(), version="0")
    async with made.router.lifespan_context(made), client(made, "127.0.0.1") as http:
        answer = await http.get("/metrics")

    assert answer.status_code == 200
    assert "tallybook_postings_waiting" in answer.text
    assert "tallybook_inbox" not in answer.text

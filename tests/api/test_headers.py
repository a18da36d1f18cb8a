"""What comes with every answer: its id, when to come back, how to sign in, and who may read it in a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import psycopg
import pytest
from api.cast import Cast
from api.conftest import Staging
from api.requests_of_routes import asked
from api.routes import OPERATIONS
from psycopg import sql

from tallybook.api import server
from tallybook.usecases.context import Context


@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_has_an_id_and_every_401_says_how_to_sign_in(cast: Cast, label: str) -> None:
    answer = asked(cast, label, "nobody")

    assert answer.headers["Request-Id"].startswith("req_")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert (answer.headers.get("WWW-Authenticate") == "Bearer") == (answer.status_code == 401)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/v1/nowhere", 404),
        ("GET", "/api/credits/nowhere", 404),
        ("DELETE", "/v1/products", 405),
        ("DELETE", "/api/stripe/products", 405),
        ("PUT", "/api/credits/purchase", 405),
        ("GET", "/health", 200),
        ("GET", "/login", 200),
        ("GET", "/v1/openapi.json", 200),
    ],
)
def test_what_no_route_serves_is_answered_in_order_too(
    cast: Cast, method: str, path: str, status: int
) -> None:
    answer = cast.ask("nobody", method, path)

    assert answer.status_code == status
    assert answer.headers["Request-Id"].startswith("req_")
    if status >= 400:
        assert answer.json()["code"] in {"not_found", "invalid_request"}
        assert answer.json().get("status", status) == status
        assert ("Allow" in answer.headers) == (status == 405)


def test_a_request_id_that_is_given_comes_back_and_a_bad_one_does_not(cast: Cast) -> None:
    given = cast.ask("nobody", "GET", "/health", Request_Id="mine-0123456789")
    bad = [
        cast.ask("nobody", "GET", "/health", Request_Id=text) for text in ("x", "a b c d e f g h", "y" * 65)
    ]

    assert given.headers.get_list("Request-Id") == ["mine-0123456789"]
    assert all(answer.headers["Request-Id"].startswith("req_") for answer in bad)


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "https://shop.example.com.evil.example", "http://shop.example.com"],
)
def test_an_origin_that_is_not_listed_may_read_nothing(cast: Cast, origin: str) -> None:
    preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    for answer in (
        cast.send("GET", "/v1/products", None, {"Origin": origin}),
        cast.send("GET", "/v1/wallets", None, {"Origin": origin}),
        cast.send("OPTIONS", "/v1/transfers", None, preflight),
    ):
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_an_origin_that_is_listed_may_call(cast: Cast, method: str) -> None:
    origin = "https://shop.example.com"
    headers = "authorization,content-type,idempotency-key,x-api-key"
    asked_before = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
    }

    preflight = cast.send("OPTIONS", "/v1/transfers", None, asked_before)
    answer = cast.send("GET", "/v1/wallets", None, {"Origin": origin})

    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == origin
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert "Request-Id" in answer.headers["Access-Control-Expose-Headers"]


def test_answers_with_tokens_and_keys_are_not_kept_by_caches(cast: Cast) -> None:
    for label in (
        "POST /v1/sessions",
        "POST /api/cross-app/auth",
        "POST /v1/apps",
        "POST /v1/apps/{app_id}/api-keys",
    ):
        answer = asked(cast, label, "nobody" if "apps" not in label else "admin")
        assert answer.status_code in {200, 201}
        assert answer.headers["Cache-Control"] == "no-store", label


def test_a_database_that_is_away_is_503_and_says_when_to_come_back(staging: Staging) -> None:
    with staging() as cast:
        _let_in(cast, False)
        try:
            native = cast.ask("ada", "POST", "/v1/transfers", {"amount_micro": 1}, Idempotency_Key="away")
            seed = cast.ask("ada", "GET", "/api/financial/credits/balance")
            health = cast.ask("nobody", "GET", "/health")
        finally:
            _let_in(cast, True)
        again = cast.ask("ada", "POST", "/v1/transfers", {"amount_micro": 1}, Idempotency_Key="away")

    for answer in (native, seed):
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable"), answer.text
        assert int(answer.headers["Retry-After"]) >= 1
        assert "postgres" not in answer.text.lower()
    assert health.status_code == 503
    assert again.status_code == 201


def _let_in(cast: Cast, yes: bool) -> None:
    database = cast.running.database
    server_url = f"{database.superuser_url.rpartition('/')[0]}/postgres"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(
                sql.Identifier(database.name), sql.Literal(yes)
            )
        )
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database.name]
        )


async def test_a_bug_is_answered_with_an_id_and_without_its_details() -> None:
    @asynccontextmanager
    async def broken() -> AsyncIterator[Context]:
        # A context without anything in it: whatever is asked of it is a bug.
        yield object.__new__(Context)

    app = server.create(broken, allowed_origins=(), version="0")
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            answer = await client.get("/v1/products", headers={"Request-Id": "of-the-bug"})

    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"]) == (500, "internal_error")
    assert answer.headers["Request-Id"] == body["request_id"] == "of-the-bug"
    assert "Attribute" not in answer.text and "Traceback" not in answer.text

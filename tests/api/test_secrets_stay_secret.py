"""Passwords, tokens and keys: not in the log, not in an error body, and in the database only as codes and seals."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from api.cast import SPARE_EMAIL, SPARE_PASSWORD, Cast
from databases import SECRET
from psycopg import sql
from running_service import ADMIN_PASSWORD


@pytest.fixture
def told(cast: Cast) -> dict[str, str]:
    """Everything secret that these tests know of, one of each kind made just now."""
    session = cast.sign_in(SPARE_EMAIL, SPARE_PASSWORD)
    path = f"/v1/apps/{cast.apps['bare app']}"
    key = cast.ask("admin", "POST", f"{path}/api-keys", {"label": "shown once"}).json()["api_key"]
    login = cast.ask("admin", "POST", f"{path}/database-login").json()
    cast.secrets |= {
        "new API key": key,
        "new database password": login["password"],
        "new session token": session["session_token"],
        "new refresh token": session["refresh_token"],
    }
    return cast.secrets


def test_no_secret_comes_back_in_an_error_body(cast: Cast, told: dict[str, str]) -> None:
    for name, secret in told.items():
        for path, body in _wrong_places(cast, secret):
            answer = cast.ask("nobody", "POST", path, body)
            assert answer.status_code >= 400, (name, path, answer.text)
            assert secret not in answer.text, (name, path)


def _wrong_places(cast: Cast, secret: str) -> list[tuple[str, Any]]:
    """Requests that are refused, with a secret in some place of each."""
    app_id = cast.apps["seed app"]
    return [
        ("/v1/sessions", {"email": 5, "password": secret}),
        ("/v1/sessions", {"email": "nobody@example.com", "password": [secret]}),
        ("/v1/sessions", {"email": "nobody@example.com", "password": "x", "passwort": secret}),
        ("/v1/sessions/refresh", {"refresh_token": secret, "more": True}),
        ("/api/cross-app/validate-token", {"session_token": secret, "app_id": 5}),
        ("/api/cross-app/validate-token", {"session_token": secret + "x", "app_id": app_id}),
        ("/api/cross-app/credits/consume", {"session_token": {"a": secret}, "app_id": app_id, "credits": 1}),
    ]


def test_the_log_holds_no_secret_after_all_sorts_of_requests(cast: Cast, told: dict[str, str]) -> None:
    for secret in list(told.values()):
        cast.callers["in passing"] = {"Authorization": f"Bearer {secret}", "X-API-Key": secret}
        cast.ask("in passing", "GET", "/v1/wallets")
        cast.ask("in passing", "POST", "/v1/transfers", {"amount_micro": "x", "description": secret})
        cast.ask("nobody", "POST", "/v1/sessions", {"email": "nobody@example.com", "password": secret})
        cast.ask("nobody", "GET", f"/credits/success?session_id={secret}")
        cast.ask("nobody", "POST", "/api/stripe/webhook", {"a": secret}, Stripe_Signature=secret)
    cast.ask("admin", "GET", "/v1/users")

    cast.assert_log_holds_no_secret()


def test_the_log_would_show_a_secret_if_one_were_written(cast: Cast) -> None:
    """Paths are logged, so a secret that somebody puts into a path does get there: the search can find."""
    cast.secrets["planted"] = "planted-in-a-path-0123456789"
    cast.ask("nobody", "GET", f"/v1/{cast.secrets['planted']}")
    try:
        with pytest.raises(AssertionError, match="planted"):
            cast.assert_log_holds_no_secret()
    finally:
        del cast.secrets["planted"]


def test_the_database_holds_no_password_token_or_key_in_the_clear(cast: Cast, told: dict[str, str]) -> None:
    dump = _everything(cast)
    assert SPARE_EMAIL in dump, "what is stored in the clear is found, so the search works"

    for name, secret in (told | {"secret": SECRET, "admin": ADMIN_PASSWORD}).items():
        if name.startswith("client secret"):
            # Stripe's own events bring them, and an event is kept as it was signed; they let its customer pay, no more.
            continue
        assert secret not in dump, name
        assert secret.encode().hex() not in dump, name


def _everything(cast: Cast) -> str:
    """Every row of every table as text; binary columns as hexadecimal."""
    parts = []
    with psycopg.connect(cast.running.database.superuser_url) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'tallybook' ORDER BY 1"
        ).fetchall()
        for (table,) in tables:
            rows = sql.SQL("SELECT to_jsonb(t)::text FROM tallybook.{} t").format(sql.Identifier(table))
            parts += [json.dumps(json.loads(row[0]), ensure_ascii=False) for row in connection.execute(rows)]
    return "\n".join(parts)

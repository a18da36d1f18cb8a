"""Tokens and keys that do not count: each is refused with its own code, on native and on seed routes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from api.cast import SPARE_EMAIL, SPARE_PASSWORD, Cast
from databases import SECRET
from psycopg.rows import dict_row

from tallybook.domain.identity.apps import HOUSE_AUDIENCE
from tallybook.domain.identity.signing_keys import StoredSigningKey
from tallybook.security.sealing import Sealer
from tallybook.security.tokens import TokenSigner, new_key

NATIVE = ("GET", "/v1/wallets", None)
SEED = ("GET", "/api/financial/credits/balance", None)


def _parts(token: str) -> list[dict[str, Any]]:
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2]]


def _encoded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _stored_keys(cast: Cast) -> list[StoredSigningKey]:
    with psycopg.connect(cast.running.database.superuser_url, row_factory=dict_row) as connection:
        rows = connection.execute(
            "SELECT key_id, algorithm, public_jwk, private_key_sealed, created_at, retired_at"
            " FROM tallybook.signing_keys"
        ).fetchall()
    return [StoredSigningKey(**row) for row in rows]


def _crafted(cast: Cast, *, at: datetime | None = None, issuer: str | None = None, **claims: Any) -> str:
    """A token that the service's own key signed, at a time and with claims of our choice."""
    _, own = _parts(cast.tokens["ada"])
    signer = TokenSigner(
        _stored_keys(cast),
        sealer=Sealer(SECRET),
        clock=lambda: at or datetime.now(UTC),
        issuer=issuer or own["iss"],
    )
    wanted: dict[str, Any] = {
        "user_id": int(own["sub"]),
        "session_id": uuid.UUID(own["sid"]),
        "audience": HOUSE_AUDIENCE,
    }
    token, _ = signer.sign(**(wanted | claims))
    return token


def _none_algorithm(cast: Cast) -> str:
    header, claims = _parts(cast.tokens["ada"])
    return f"{_encoded(header | {'alg': 'none'})}.{_encoded(claims)}."


def _public_key_as_secret(cast: Cast) -> str:
    header, claims = _parts(cast.tokens["ada"])
    public = cast.ask("nobody", "GET", "/.well-known/jwks.json").json()["keys"][0]["x"]
    body = f"{_encoded(header | {'alg': 'HS256'})}.{_encoded(claims)}"
    secret = base64.urlsafe_b64decode(public + "==")
    return f"{body}.{_encoded(hmac.new(secret, body.encode(), hashlib.sha256).digest())}"


def _strangers_key(cast: Cast) -> str:
    """Signed by somebody else's key, under the name of ours."""
    now = datetime.now(UTC)
    theirs = TokenSigner(
        [new_key(Sealer(SECRET), now)], sealer=Sealer(SECRET), clock=lambda: now, issuer=cast.base_url
    )
    _, own = _parts(cast.tokens["ada"])
    token, _ = theirs.sign(user_id=int(own["sub"]), session_id=uuid.UUID(own["sid"]), audience=HOUSE_AUDIENCE)
    header, _ = _parts(cast.tokens["ada"])
    return ".".join([_encoded(header), *token.split(".")[1:]])


def _revoked(cast: Cast) -> str:
    session = cast.sign_in(SPARE_EMAIL, SPARE_PASSWORD)["session_token"]
    cast.callers["in passing"] = {"Authorization": f"Bearer {session}"}
    assert cast.ask("in passing", "DELETE", "/v1/sessions/current").status_code == 204
    return str(session)


def _promoted(cast: Cast) -> str:
    """Ada's session with the admin's number in it; the signature is no longer right."""
    header, claims = _parts(cast.tokens["ada"])
    return f"{_encoded(header)}.{_encoded(claims | {'sub': '2'})}.{cast.tokens['ada'].split('.')[2]}"


TOKENS: dict[str, tuple[Callable[[Cast], str], str]] = {
    "expired": (lambda c: _crafted(c, at=datetime.now(UTC) - timedelta(hours=2)), "token_expired"),
    "revoked": (_revoked, "token_revoked"),
    "of the future": (lambda c: _crafted(c, at=datetime.now(UTC) + timedelta(hours=2)), "token_invalid"),
    "of another issuer": (lambda c: _crafted(c, issuer="https://elsewhere.example"), "token_invalid"),
    "of no session": (lambda c: _crafted(c, session_id=uuid.uuid4()), "token_invalid"),
    "of another user": (lambda c: _crafted(c, user_id=2), "token_invalid"),
    "of another audience": (lambda c: _crafted(c, audience=c.apps["bare app"]), "token_invalid"),
    "without algorithm": (_none_algorithm, "token_invalid"),
    "public key as secret": (_public_key_as_secret, "token_invalid"),
    "a stranger's key": (_strangers_key, "token_invalid"),
    "promoted": (_promoted, "token_invalid"),
    "a refresh token": (lambda c: c.sign_in(SPARE_EMAIL, SPARE_PASSWORD)["refresh_token"], "token_invalid"),
    "cut": (lambda c: c.tokens["ada"][:-10], "token_invalid"),
    "long": (lambda c: c.tokens["ada"] + "A" * 5000, "token_invalid"),
    "nonsense": (lambda _: "nonsense", "token_invalid"),
}


@pytest.mark.parametrize("place", [NATIVE, SEED], ids=["native", "seed"])
@pytest.mark.parametrize("kind", TOKENS)
def test_a_token_that_does_not_count_is_401_with_its_code(
    cast: Cast, kind: str, place: tuple[str, str, Any]
) -> None:
    make, code = TOKENS[kind]
    cast.callers["in passing"] = {"Authorization": f"Bearer {make(cast)}"}

    answer = cast.ask("in passing", *place)

    assert (answer.status_code, answer.json()["code"]) == (401, code), answer.text
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_crafted_token_would_work_if_nothing_were_wrong_with_it(cast: Cast) -> None:
    cast.callers["in passing"] = {"Authorization": f"Bearer {_crafted(cast)}"}

    assert cast.ask("in passing", *NATIVE).status_code == 200


def test_a_token_of_another_app_is_foreign(cast: Cast) -> None:
    body = {"session_token": cast.tokens["ada in app"], "app_id": cast.apps["full app"]}

    for path, more in (("validate-token", {}), ("credits/check", {}), ("credits/consume", {"credits": 1})):
        answer = cast.ask("nobody", "POST", f"/api/cross-app/{path}", body | more)
        assert (answer.status_code, answer.json()["code"]) == (401, "token_foreign_app")


def test_a_refresh_token_serves_once_and_its_reuse_ends_the_session(cast: Cast) -> None:
    first = cast.sign_in(SPARE_EMAIL, SPARE_PASSWORD)
    body = {"refresh_token": first["refresh_token"]}
    second = cast.ask("nobody", "POST", "/v1/sessions/refresh", body)
    _make_older(cast, _parts(first["session_token"])[1]["sid"])

    again = cast.ask("nobody", "POST", "/v1/sessions/refresh", body)
    cast.callers["in passing"] = {"Authorization": f"Bearer {second.json()['session_token']}"}

    assert (again.status_code, again.json()["code"]) == (401, "refresh_token_reused")
    assert cast.ask("in passing", *NATIVE).json()["code"] == "token_revoked"


def _make_older(cast: Cast, session_id: str) -> None:
    """As if the rotation had been a minute ago."""
    with psycopg.connect(cast.running.database.superuser_url) as connection:
        connection.execute(
            "UPDATE tallybook.sessions SET refreshed_at = refreshed_at - interval '1 minute' WHERE session_id = %s",
            [session_id],
        )


def test_keys_that_ended_or_never_were_are_refused_with_their_codes(cast: Cast) -> None:
    app_id = cast.apps["bare app"]
    path = f"/v1/apps/{app_id}/api-keys"
    soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    short = cast.ask("admin", "POST", path, {"expires_at": soon}).json()
    ended = cast.ask("admin", "POST", path, {}).json()
    assert cast.ask("admin", "DELETE", f"{path}/{ended['id']}").status_code == 200
    time.sleep(1.1)
    real = cast.callers["bare app"]["X-API-Key"]
    changed = real[:-1] + ("a" if real[-1] != "a" else "b")

    for key, code in (
        (short["api_key"], "api_key_expired"),
        (ended["api_key"], "api_key_revoked"),
        (changed, "api_key_invalid"),
        ("nonsense", "api_key_invalid"),
        ("ü" * 10, "api_key_invalid"),
    ):
        for header, value in ((b"X-API-Key", key), (b"Authorization", f"Bearer {key}")):
            answer = cast.running.http().get("/v1/wallets", headers={header: value.encode()})
            bearer_nonsense = header == b"Authorization" and not key.startswith("tb_")
            wanted = "token_invalid" if bearer_nonsense else code
            assert (answer.status_code, answer.json()["code"]) == (401, wanted), (key[:8], header)


def test_a_key_beside_a_session_must_be_of_its_app(cast: Cast) -> None:
    cast.callers["in passing"] = cast.callers["ada in app"] | cast.callers["full app"]
    foreign = cast.ask("in passing", *NATIVE)
    cast.callers["in passing"] = cast.callers["ada in app"] | cast.callers["seed app"]
    fitting = cast.ask("in passing", *NATIVE)

    assert (foreign.status_code, foreign.json()["code"]) == (401, "api_key_invalid")
    assert fitting.status_code == 200


def test_an_app_may_demand_its_key_and_may_be_switched_off(cast: Cast) -> None:
    app_id = cast.apps["bare app"]
    auth = {"app_id": app_id, "email": SPARE_EMAIL, "password": SPARE_PASSWORD}
    try:
        cast.ask("admin", "PATCH", f"/v1/apps/{app_id}", {"requires_api_key": True})
        without = cast.ask("nobody", "POST", "/api/cross-app/auth", auth)
        cast.ask("admin", "PATCH", f"/v1/apps/{app_id}", {"is_active": False})
        switched_off = cast.ask("bare app", "POST", "/api/cross-app/auth", auth)
        by_session = cast.ask("ada in bare app", *NATIVE)
    finally:
        cast.ask("admin", "PATCH", f"/v1/apps/{app_id}", {"requires_api_key": False, "is_active": True})

    assert (without.status_code, without.json()["code"]) == (401, "api_key_required")
    assert (switched_off.status_code, switched_off.json()["code"]) == (401, "app_not_found")
    assert (by_session.status_code, by_session.json()["code"]) == (401, "app_not_found")


def test_a_user_who_was_switched_off_is_refused_at_once(cast: Cast) -> None:
    email = f"{uuid.uuid4().hex}@example.com"
    made = cast.ask("nobody", "POST", "/v1/users", {"email": email, "password": SPARE_PASSWORD}).json()
    token = cast.sign_in(email, SPARE_PASSWORD)["session_token"]
    cast.ask("admin", "PATCH", f"/v1/users/{made['user_id']}", {"is_active": False})
    cast.callers["in passing"] = {"Authorization": f"Bearer {token}"}

    by_token = cast.ask("in passing", *NATIVE)
    by_password = cast.ask("nobody", "POST", "/v1/sessions", {"email": email, "password": SPARE_PASSWORD})
    wrong = cast.ask("nobody", "POST", "/v1/sessions", {"email": email, "password": "not it at all"})

    assert by_token.status_code in {401, 403} and by_token.json()["code"] in {
        "user_inactive",
        "token_revoked",
    }
    assert (by_password.status_code, by_password.json()["code"]) == (403, "user_inactive")
    assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_credentials")

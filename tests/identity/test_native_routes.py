"""/v1/users, /v1/sessions, /v1/apps and the key set, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from identity.people import EMAIL, PASSWORD
from joserfc import jwt
from joserfc.jwk import KeySet

from tallybook.domain.identity.people import User
from tallybook.usecases.apps import Registered

KEY = {"Idempotency-Key": "k-1"}


async def _bearer(http: httpx.AsyncClient, email: str, **more: Any) -> dict[str, str]:
    answer = await http.post(
        "/v1/sessions",
        json={"email": email, "password": PASSWORD, **more},
        headers={"Idempotency-Key": f"in-{email}-{more}"},
    )
    assert answer.status_code == 201, answer.text
    return {"Authorization": f"Bearer {answer.json()['session_token']}"}


def _refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_stranger_signs_up_signs_in_and_out(http: httpx.AsyncClient) -> None:
    body = {"email": EMAIL, "password": PASSWORD}

    made = await http.post("/v1/users", json=body, headers=KEY)
    again = await http.post("/v1/users", json=body, headers=KEY)
    signed_in = await http.post("/v1/sessions", json=body, headers=KEY)
    bearer = {"Authorization": f"Bearer {signed_in.json()['session_token']}"}
    me = await http.get("/v1/users/me", headers=bearer)
    out = await http.delete("/v1/sessions/current", headers=bearer)
    after = await http.get("/v1/users/me", headers=bearer)

    assert made.status_code == 201
    assert again.json() == made.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert made.json().keys() == {"user_id", "email", "role", "is_active", "created_at"}
    assert signed_in.status_code == 201
    assert signed_in.json()["user"] == made.json()
    assert me.json() == made.json()
    assert out.status_code == 204
    _refused(after, 401, "token_revoked")


async def test_sign_up_refuses_with_codes(http: httpx.AsyncClient, user: User) -> None:
    async def tried(key: str | None = "k", **body: Any) -> httpx.Response:
        headers = {} if key is None else {"Idempotency-Key": key}
        return await http.post("/v1/users", json=body, headers=headers)

    _refused(await tried(email=EMAIL, password=PASSWORD), 409, "email_taken")
    _refused(await tried(email="no address", password=PASSWORD), 422, "email_invalid")
    _refused(await tried(email="b@c.de", password="password123"), 422, "password_unfit")
    _refused(await tried(email="b@c.de", password=PASSWORD, role="admin"), 422, "invalid_request")
    _refused(await tried(key=None, email="b@c.de", password=PASSWORD), 400, "idempotency_key_missing")


async def test_a_session_is_refreshed(http: httpx.AsyncClient, user: User) -> None:
    opened = await http.post("/v1/sessions", json={"email": EMAIL, "password": PASSWORD}, headers=KEY)

    renewed = await http.post("/v1/sessions/refresh", json={"refresh_token": opened.json()["refresh_token"]})

    assert renewed.status_code == 200
    assert renewed.headers["Cache-Control"] == "no-store"
    assert renewed.json().keys() == opened.json().keys()


async def test_anybody_can_verify_a_token_with_the_key_set(
    http: httpx.AsyncClient, user: User, registered: Registered
) -> None:
    bearer = await _bearer(http, EMAIL, app_id=registered.app.public_id)
    token = bearer["Authorization"].removeprefix("Bearer ")

    keys = (await http.get("/.well-known/jwks.json")).json()

    with pytest.warns(Warning, match="EdDSA"):
        claims = jwt.decode(token, KeySet.import_key_set(keys), algorithms=["EdDSA"]).claims
    assert claims["aud"] == registered.app.public_id
    assert claims["sub"] == str(user.user_id)
    assert claims["iss"] == "http://testserver"


async def test_an_admin_registers_and_runs_an_app(http: httpx.AsyncClient, admin: User, user: User) -> None:
    bearer = await _bearer(http, admin.email)
    body = {"name": "Autoprint", "domain": "autoprint.example.com"}

    made = await http.post("/v1/apps", json=body, headers=bearer | KEY)
    again = await http.post("/v1/apps", json=body, headers=bearer | KEY)
    app = f"/v1/apps/{made.json()['app_id']}"
    by_key = {"X-API-Key": made.json()["api_key"]}

    assert made.status_code == 201
    assert again.json() == made.json()
    shown = await http.get(app, headers=bearer)
    assert "api_key" not in shown.json()
    assert (await http.get(f"/v1/users/{user.user_id}", headers=by_key)).status_code == 200
    changed = await http.patch(app, json={"permissions": ["read_credits"]}, headers=bearer)
    assert changed.json()["permissions"] == ["read_credits"]
    _refused(await http.get(f"/v1/users/{user.user_id}", headers=by_key), 403, "permission_denied")
    added = await http.post(
        f"{app}/api-keys",
        json={"label": "b", "expires_at": "2027-01-01T00:00:00Z"},
        headers=bearer | KEY,
    )
    assert added.status_code == 201, added.text
    ended = await http.delete(f"{app}/api-keys/{added.json()['id']}", headers=bearer)
    assert ended.json()["revoked_at"] is not None
    listed = await http.get(f"{app}/api-keys", headers=bearer)
    assert [key["label"] for key in listed.json()["data"]] == ["first key", "b"]
    assert made.json()["api_key"] not in listed.text
    login = await http.post(f"{app}/database-login", headers=bearer)
    assert login.status_code == 201
    assert login.json()["database_url"].startswith("postgresql://")
    page = await http.get("/v1/apps?limit=1", headers=bearer)
    assert [one["app_id"] for one in page.json()["data"]] == [made.json()["app_id"]]


async def test_a_customer_and_an_app_manage_nothing(
    http: httpx.AsyncClient, user: User, admin: User, registered: Registered
) -> None:
    app = f"/v1/apps/{registered.app.public_id}"
    admin_abroad = await _bearer(http, admin.email, app_id=registered.app.public_id)

    for headers in (
        await _bearer(http, EMAIL),
        admin_abroad,
        {"X-API-Key": registered.issued.secret},
    ):
        for method, path, body in (
            ("GET", "/v1/users", None),
            ("PATCH", f"/v1/users/{user.user_id}", {"is_active": False}),
            ("POST", "/v1/apps", {"name": "Mine"}),
            ("GET", "/v1/apps", None),
            ("GET", app, None),
            ("PATCH", app, {"permissions": ["grant_credits"]}),
            ("GET", f"{app}/api-keys", None),
            ("POST", f"{app}/api-keys", {}),
            ("DELETE", f"{app}/api-keys/key_1", None),
            ("POST", f"{app}/database-login", None),
        ):
            answer = await http.request(method, path, json=body, headers=headers | KEY)
            _refused(answer, 403, "admin_required")


async def test_without_a_caller_nothing_is_shown(http: httpx.AsyncClient) -> None:
    for path in ("/v1/users/me", "/v1/users/1", "/v1/users", "/v1/apps", "/v1/apps/app_x"):
        _refused(await http.get(path), 401, "authentication_required")


@pytest.mark.parametrize("app_id", ["%00", "app_%00", "app_unknown", "app_house", "x" * 500])
async def test_an_app_that_is_not_there_is_a_4xx(http: httpx.AsyncClient, admin: User, app_id: str) -> None:
    answer = await http.get(f"/v1/apps/{app_id}", headers=await _bearer(http, admin.email))

    assert answer.status_code in (404, 422)


async def test_an_admin_switches_a_user_off_and_pages_through_users(
    http: httpx.AsyncClient, user: User, admin: User
) -> None:
    bearer, theirs = await _bearer(http, admin.email), await _bearer(http, EMAIL)

    first = await http.get("/v1/users?limit=1", headers=bearer)
    rest = await http.get(f"/v1/users?after={first.json()['next_cursor']}", headers=bearer)
    off = await http.patch(f"/v1/users/{user.user_id}", json={"is_active": False}, headers=bearer)
    own = await http.patch(f"/v1/users/{admin.user_id}", json={"is_active": False}, headers=bearer)

    assert first.json()["has_more"] is True
    assert [one["user_id"] for one in rest.json()["data"]] == [admin.user_id]
    assert off.json()["is_active"] is False
    _refused(await http.get("/v1/users/me", headers=theirs), 403, "user_inactive")
    _refused(own, 403, "permission_denied")


async def test_a_password_is_changed_over_http(http: httpx.AsyncClient, user: User) -> None:
    bearer = await _bearer(http, EMAIL)

    done = await http.put(
        "/v1/users/me/password",
        json={"old_password": PASSWORD, "new_password": "another one of the tests"},
        headers=bearer,
    )

    assert done.status_code == 204
    _refused(await http.get("/v1/users/me", headers=bearer), 401, "token_revoked")

"""/api/cross-app/*: as the client of document 000 calls it, with each refusal's code."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from conftest import FrozenClock
from identity.people import APP_NAME, EMAIL, PASSWORD

from tallybook.domain.identity.apps import AppChange
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.identity.people import User
from tallybook.domain.money import Credits
from tallybook.usecases import apps, users, wallets
from tallybook.usecases.apps import Registered
from tallybook.usecases.context import Context

AUTH = "/api/cross-app/auth"
VALIDATE = "/api/cross-app/validate-token"
CHECK = "/api/cross-app/credits/check"
CONSUME = "/api/cross-app/credits/consume"
REFRESH = "/api/cross-app/refresh"


async def _signed_in(http: httpx.AsyncClient, registered: Registered) -> dict[str, Any]:
    answer = await http.post(
        AUTH,
        json={
            "app_id": registered.app.public_id,
            "email": EMAIL,
            "password": PASSWORD,
            "app_user_id": None,
            "app_metadata": {"app_name": APP_NAME, "version": "1.0.0"},
        },
        headers={"X-API-Key": registered.issued.secret},
    )
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert isinstance(body, dict)
    return body


async def _give(ctx: Context, operator: Caller, user: User, credits: int) -> None:
    await wallets.grant(ctx, operator, credits=Credits.whole(credits), key="g", user_id=user.user_id)


def _in_app(session: dict[str, Any], registered: Registered, **more: Any) -> dict[str, Any]:
    return {
        "session_token": session["session_token"],
        "app_id": registered.app.public_id,
        **more,
    }


def _refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert isinstance(answer.json()["detail"], str)


async def test_auth_answers_as_the_document_says(
    http: httpx.AsyncClient, user: User, registered: Registered
) -> None:
    body = await _signed_in(http, registered)

    assert body["user"] == {
        "user_id": user.user_id,
        "email": EMAIL,
        "user_type": "customer",
        "is_active": True,
        "credits": 0,
    }
    assert body["permissions"] == [
        "consume_credits",
        "purchase_credits",
        "read_credits",
        "read_user_info",
    ]
    assert body["app"] == {"app_id": registered.app.public_id, "name": APP_NAME}
    assert (body["expires_in"], body["token_type"]) == (600, "Bearer")


async def test_a_customer_signs_in_checks_consumes_and_runs_out(
    http: httpx.AsyncClient, ctx: Context, user: User, registered: Registered, operator: Caller
) -> None:
    await _give(ctx, operator, user, 7)
    session = await _signed_in(http, registered)
    headers = {"X-API-Key": registered.issued.secret}

    checked = await http.post(CHECK, json=_in_app(session, registered, required_credits=5), headers=headers)
    taken = await http.post(
        CONSUME,
        json=_in_app(
            session,
            registered,
            credits=5,
            service="autoprint",
            description="Whatnot Autoprint Job #12345",
            metadata={"app_name": APP_NAME},
        ),
        headers=headers,
    )
    short = await http.post(CONSUME, json=_in_app(session, registered, credits=2.5, service="x"))

    assert checked.json() == {
        "has_sufficient_credits": True,
        "current_balance": 7,
        "required_credits": 5,
        "shortfall": 0,
    }
    assert taken.status_code == 200
    assert taken.json() | {"transaction_id": 0} == {
        "success": True,
        "new_balance": 2,
        "credits_consumed": 5,
        "transaction_id": 0,
    }
    _refused(short, 402, "insufficient_credits")
    again = await http.post(CHECK, json=_in_app(session, registered, required_credits=2.5))
    assert again.json()["shortfall"] == 0.5
    assert again.json()["has_sufficient_credits"] is False
    plain = await http.post(CHECK, json=_in_app(session, registered, required_credits=None))
    assert plain.json()["current_balance"] == 2
    zero = await http.post(CHECK, json=_in_app(session, registered, required_credits=0))
    assert zero.json()["has_sufficient_credits"] is True


async def test_a_consumption_is_repeated_safely_under_its_key(
    http: httpx.AsyncClient, ctx: Context, user: User, registered: Registered, operator: Caller
) -> None:
    await _give(ctx, operator, user, 7)
    session = await _signed_in(http, registered)

    answers = [
        await http.post(
            CONSUME,
            json=_in_app(session, registered, credits=5, service="x"),
            headers={"Idempotency-Key": "job-1"},
        )
        for _ in range(3)
    ]

    assert [answer.json()["new_balance"] for answer in answers] == [2, 2, 2]


async def test_validation_says_who_it_is_or_401(
    http: httpx.AsyncClient,
    user: User,
    registered: Registered,
    other: Registered,
    clock: FrozenClock,
) -> None:
    session = await _signed_in(http, registered)

    valid = await http.post(VALIDATE, json=_in_app(session, registered))
    foreign = await http.post(VALIDATE, json=_in_app(session, other))
    nonsense = await http.post(VALIDATE, json=_in_app({"session_token": "x"}, registered))
    clock.advance(seconds=600)
    expired = await http.post(VALIDATE, json=_in_app(session, registered))

    assert valid.json()["valid"] is True
    assert valid.json()["user"] == session["user"]
    assert valid.json()["permissions"] == session["permissions"]
    _refused(foreign, 401, "token_foreign_app")
    _refused(nonsense, 401, "token_invalid")
    _refused(expired, 401, "token_expired")


async def test_refusals_of_auth_each_have_their_code(
    http: httpx.AsyncClient, ctx: Context, user: User, registered: Registered, operator: Caller
) -> None:
    good = {"app_id": registered.app.public_id, "email": EMAIL, "password": PASSWORD}

    _refused(await http.post(AUTH, json=good | {"password": "wrong"}), 401, "invalid_credentials")
    _refused(await http.post(AUTH, json=good | {"email": "x@y.z"}), 401, "invalid_credentials")
    _refused(await http.post(AUTH, json=good | {"app_id": "app_x"}), 401, "app_not_found")
    _refused(await http.post(AUTH, json=good | {"app_id": ""}), 401, "app_not_found")
    wrong_key = await http.post(AUTH, json=good, headers={"X-API-Key": "wrong"})
    _refused(wrong_key, 401, "api_key_invalid")
    _refused(await http.post(AUTH, json=good | {"extra": 1}), 422, "invalid_request")
    _refused(await http.post(AUTH, json=good | {"email": 1}), 422, "invalid_request")
    await users.set_active(ctx, operator, user.user_id, is_active=False)
    _refused(await http.post(AUTH, json=good), 403, "user_inactive")


async def test_refresh_rotates_and_a_late_replay_ends_the_session(
    http: httpx.AsyncClient,
    user: User,
    registered: Registered,
    other: Registered,
    clock: FrozenClock,
) -> None:
    session = await _signed_in(http, registered)
    asked = {"refresh_token": session["refresh_token"], "app_id": registered.app.public_id}

    foreign = await http.post(REFRESH, json=asked | {"app_id": other.app.public_id})
    renewed = await http.post(REFRESH, json=asked)
    clock.advance(seconds=31)
    replay = await http.post(REFRESH, json=asked)
    after = await http.post(VALIDATE, json=_in_app(renewed.json(), registered))

    _refused(foreign, 401, "token_foreign_app")
    assert renewed.json()["refresh_token"] != session["refresh_token"]
    assert renewed.json()["user"] == session["user"]
    _refused(replay, 401, "refresh_token_reused")
    _refused(after, 401, "token_revoked")


async def test_an_app_that_demands_its_key_gets_nothing_without(
    http: httpx.AsyncClient, ctx: Context, user: User, registered: Registered, operator: Caller
) -> None:
    session = await _signed_in(http, registered)
    await apps.update(ctx, operator, registered.app.public_id, AppChange(requires_api_key=True))

    for path, more in ((VALIDATE, {}), (CHECK, {}), (CONSUME, {"credits": 1})):
        _refused(await http.post(path, json=_in_app(session, registered, **more)), 401, "api_key_required")
    asked = {"refresh_token": session["refresh_token"]}
    _refused(await http.post(REFRESH, json=asked), 401, "api_key_required")
    with_key = await http.post(REFRESH, json=asked, headers={"X-API-Key": registered.issued.secret})
    assert with_key.status_code == 200


@pytest.mark.parametrize(
    ("lacking", "path", "more"),
    [
        (Permission.READ_CREDITS, CHECK, {}),
        (Permission.CONSUME_CREDITS, CONSUME, {"credits": 1, "service": "x"}),
    ],
)
async def test_an_app_does_only_what_it_may(
    http: httpx.AsyncClient,
    ctx: Context,
    user: User,
    operator: Caller,
    lacking: Permission,
    path: str,
    more: dict[str, Any],
) -> None:
    allowed = [one for one in Permission if one not in (lacking, Permission.GRANT_CREDITS)]
    registered = await apps.register(ctx, operator, name="Narrow", permissions=allowed)
    session = await _signed_in(http, registered)

    _refused(await http.post(path, json=_in_app(session, registered, **more)), 403, "permission_denied")


async def test_what_an_app_may_not_read_is_left_out(
    http: httpx.AsyncClient, ctx: Context, user: User, operator: Caller
) -> None:
    registered = await apps.register(ctx, operator, name="Blind", permissions=[Permission.CONSUME_CREDITS])

    session = await _signed_in(http, registered)

    assert session["user"]["email"] is None
    assert session["user"]["credits"] is None
    assert session["user"]["user_id"] == user.user_id


@pytest.mark.parametrize("credits", [0, -1, "5", True, None, 1e30, 0.0000001, {}, [5]])
async def test_an_amount_that_is_none_is_refused_and_takes_nothing(
    http: httpx.AsyncClient,
    ctx: Context,
    user: User,
    registered: Registered,
    operator: Caller,
    credits: Any,
) -> None:
    await _give(ctx, operator, user, 7)
    session = await _signed_in(http, registered)

    answer = await http.post(CONSUME, json=_in_app(session, registered, credits=credits, service="x"))

    assert answer.status_code == 422
    left = await http.post(CHECK, json=_in_app(session, registered))
    assert left.json()["current_balance"] == 7

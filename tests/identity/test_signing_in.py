"""Signing in: right and wrong passwords, apps and keys, and what a stranger can learn."""

from __future__ import annotations

import asyncio
import statistics
import time
from datetime import timedelta

import psycopg
import pytest
from argon2 import PasswordHasher
from conftest import FrozenClock, TestDatabase
from identity.people import EMAIL, PASSWORD, enter
from structlog.testing import capture_logs

from tallybook.domain.errors import (
    ApiKeyExpiredError,
    ApiKeyInvalidError,
    ApiKeyRequiredError,
    ApiKeyRevokedError,
    AppNotFoundError,
    IdempotencyKeyReusedError,
    InvalidCredentialsError,
    UserInactiveError,
)
from tallybook.domain.identity.apps import AppChange
from tallybook.domain.identity.callers import Caller
from tallybook.domain.identity.people import User
from tallybook.postgres import identity
from tallybook.usecases import api_keys, apps, sessions, users
from tallybook.usecases.apps import Registered
from tallybook.usecases.context import Context


async def test_a_user_signs_in_with_any_capitals(ctx: Context, user: User) -> None:
    signed_in = await sessions.sign_in(ctx, email=" ada@EXAMPLE.com ", password=PASSWORD)

    assert signed_in.who.user == user
    caller = await sessions.authenticate(ctx, bearer=signed_in.tokens.session_token, api_key=None)
    assert (caller.user_id, caller.app_id, caller.is_admin) == (user.user_id, 0, False)


@pytest.mark.parametrize(
    "email", [EMAIL, "nobody@example.com", "", "no address", "x" * 5000, "nul\0@example.com"]
)
async def test_a_wrong_password_and_an_unknown_email_read_the_same(
    ctx: Context, user: User, email: str
) -> None:
    with pytest.raises(InvalidCredentialsError) as refused:
        await sessions.sign_in(ctx, email=email, password="not the password")

    assert refused.value.message == "Invalid email or password"
    assert refused.value.facts == {}


async def test_time_does_not_tell_whether_an_email_exists(ctx: Context, user: User) -> None:
    spent: dict[str, list[float]] = {EMAIL: [], "nobody@example.com": []}

    for _ in range(25):
        for email, taken in spent.items():
            started = time.perf_counter()
            with pytest.raises(InvalidCredentialsError):
                await sessions.sign_in(ctx, email=email, password="not the password")
            taken.append(time.perf_counter() - started)

    known, unknown = (statistics.median(taken) for taken in spent.values())
    assert abs(known - unknown) < 0.3 * known, (known, unknown)


async def test_an_inactive_user_is_told_so_only_with_the_right_password(
    ctx: Context, user: User, operator: Caller
) -> None:
    await users.set_active(ctx, operator, user.user_id, is_active=False)

    with pytest.raises(UserInactiveError):
        await enter(ctx)
    with pytest.raises(InvalidCredentialsError):
        await sessions.sign_in(ctx, email=EMAIL, password="not the password")


@pytest.mark.parametrize("app_id", ["app_unknown", "app_house", ""])
async def test_an_unknown_app_is_refused_before_the_password_is_looked_at(
    ctx: Context, user: User, app_id: str
) -> None:
    with pytest.raises(AppNotFoundError):
        await sessions.sign_in(ctx, email=EMAIL, password="wrong", app_public_id=app_id)


async def test_an_app_that_was_switched_off_takes_no_sign_ins_and_no_tokens(
    ctx: Context, user: User, registered: Registered, operator: Caller
) -> None:
    opened = await enter(ctx, registered)

    await apps.update(ctx, operator, registered.app.public_id, AppChange(is_active=False))

    with pytest.raises(AppNotFoundError):
        await enter(ctx, registered)
    with pytest.raises(AppNotFoundError):
        await sessions.authenticate(ctx, bearer=opened.tokens.session_token, api_key=None)
    with pytest.raises(AppNotFoundError):
        await sessions.authenticate(ctx, bearer=None, api_key=registered.issued.secret)


async def test_the_key_is_optional_until_the_app_demands_it(
    ctx: Context, user: User, registered: Registered, operator: Caller
) -> None:
    await enter(ctx, registered)

    await apps.update(ctx, operator, registered.app.public_id, AppChange(requires_api_key=True))

    with pytest.raises(ApiKeyRequiredError):
        await enter(ctx, registered)
    await enter(ctx, registered, api_key=registered.issued.secret)


async def test_a_key_of_another_app_is_invalid(
    ctx: Context, user: User, registered: Registered, other: Registered
) -> None:
    with pytest.raises(ApiKeyInvalidError):
        await enter(ctx, registered, api_key=other.issued.secret)


async def test_wrong_expired_and_revoked_keys_each_have_their_code(
    ctx: Context, user: User, registered: Registered, operator: Caller, clock: FrozenClock
) -> None:
    app_id = registered.app.public_id
    soon = clock.now + timedelta(hours=1)
    expiring = await api_keys.add(ctx, operator, app_id, expires_at=soon)
    revoked = await api_keys.add(ctx, operator, app_id)
    await api_keys.revoke(ctx, operator, app_id, revoked.key.api_key_id)
    await enter(ctx, registered, api_key=expiring.secret)

    clock.advance(hours=1)

    with pytest.raises(ApiKeyExpiredError):
        await enter(ctx, registered, api_key=expiring.secret)
    with pytest.raises(ApiKeyRevokedError):
        await enter(ctx, registered, api_key=revoked.secret)
    with pytest.raises(ApiKeyInvalidError):
        await enter(ctx, registered, api_key="tb_test_" + "x" * 36)
    await enter(ctx, registered, api_key=registered.issued.secret)


async def test_what_the_app_calls_the_user_is_kept(ctx: Context, user: User, registered: Registered) -> None:
    await enter(ctx, registered, app_user_id="u-1", app_metadata={"version": "1.0.0"})
    await enter(ctx, registered)

    async with ctx.db.snapshot() as tx:
        kept = await identity.app_user(tx, app_id=registered.app.app_id, user_id=user.user_id)
    assert kept == ("u-1", {"version": "1.0.0"})


async def test_a_retried_sign_in_opens_one_session(
    ctx: Context, user: User, registered: Registered, database: TestDatabase
) -> None:
    answers = await asyncio.gather(*(enter(ctx, registered, key="k-1") for _ in range(8)))

    assert len({answer.tokens.session_token for answer in answers}) == 1
    assert [answer.replayed for answer in answers].count(False) == 1
    with psycopg.connect(database.superuser_url) as connection:
        [count] = connection.execute("SELECT count(*) FROM tallybook.sessions").fetchone() or [0]
    assert count == 1
    with pytest.raises(IdempotencyKeyReusedError):
        await enter(ctx, key="k-1")
    with pytest.raises(InvalidCredentialsError):
        await sessions.sign_in(ctx, email=EMAIL, password="wrong", key="k-1")


async def test_a_hash_of_an_older_cost_is_renewed_at_sign_in(
    ctx: Context, user: User, database: TestDatabase
) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("UPDATE tallybook.users SET password_hash = %s", [weak])

    await asyncio.gather(*(enter(ctx) for _ in range(4)))

    with psycopg.connect(database.superuser_url) as connection:
        [stored] = connection.execute("SELECT password_hash FROM tallybook.users").fetchone() or [""]
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    await enter(ctx)


async def test_a_refused_sign_in_is_logged_without_the_password_and_the_email(
    ctx: Context, user: User
) -> None:
    with capture_logs() as logs, pytest.raises(InvalidCredentialsError):
        await sessions.sign_in(ctx, email=EMAIL, password="not the password")

    assert [line["event"] for line in logs] == ["sign-in refused"]
    assert "not the password" not in str(logs)
    assert EMAIL not in str(logs)
    assert logs[0]["email"] == "A…@Example.com"


async def test_a_password_that_changes_during_a_sign_in_stops_it(
    ctx: Context, user: User, database: TestDatabase
) -> None:
    with psycopg.connect(database.superuser_url) as changing:
        changing.execute("UPDATE tallybook.users SET sessions_valid_from = now()")
        entering = asyncio.create_task(enter(ctx))
        await asyncio.sleep(0.5)
        assert not entering.done()
        changing.commit()

        with pytest.raises(InvalidCredentialsError):
            await entering

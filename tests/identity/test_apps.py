"""Apps: registration, changes, several live keys, and logins for direct SQL."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta

import psycopg
import pytest
from conftest import FrozenClock, TestDatabase
from identity.people import enter

from tallybook.domain.errors import (
    AdminRequiredError,
    ApiKeyExpiredError,
    ApiKeyRevokedError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    NotFoundError,
)
from tallybook.domain.identity.apps import AppChange
from tallybook.domain.identity.callers import SEED_PERMISSIONS, Caller, Permission
from tallybook.domain.identity.people import User
from tallybook.postgres import audit
from tallybook.usecases import api_keys, apps, sessions
from tallybook.usecases.apps import Registered
from tallybook.usecases.context import Context


async def _by_key(ctx: Context, key: str) -> Caller:
    return await sessions.authenticate(ctx, bearer=None, api_key=key)


async def test_an_app_gets_its_id_its_key_and_the_four_permissions(
    ctx: Context, registered: Registered
) -> None:
    caller = await _by_key(ctx, registered.issued.secret)

    assert re.fullmatch(r"app_[0-9A-Za-z]{20}", registered.app.public_id)
    assert registered.issued.secret.startswith("tb_test_")
    assert caller.by_key
    assert caller.user_id is None
    assert caller.app_id == registered.app.app_id
    assert caller.permissions == frozenset(SEED_PERMISSIONS)


async def test_a_retried_registration_makes_one_app_and_shows_the_same_key(
    ctx: Context, operator: Caller
) -> None:
    answers = await asyncio.gather(
        *(apps.register(ctx, operator, name="Autoprint", key="k-1") for _ in range(6))
    )

    assert len({(made.app.public_id, made.issued.secret) for made in answers}) == 1
    assert len(await apps.page(ctx, operator)) == 1
    with pytest.raises(IdempotencyKeyReusedError):
        await apps.register(ctx, operator, name="Other", key="k-1")


async def test_the_key_lies_nowhere_in_the_database(
    ctx: Context, operator: Caller, database: TestDatabase
) -> None:
    made = await apps.register(ctx, operator, name="Autoprint", key="k-1")

    with psycopg.connect(database.superuser_url) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'tallybook'"
        ).fetchall()
        text = " ".join(
            str(row)
            for (table,) in tables
            for row in connection.execute(f"SELECT t::text FROM tallybook.{table} AS t").fetchall()
        )
    secret = made.issued.secret
    assert secret[:12] in text
    for hidden in (secret, secret[12:], secret.encode().hex(), secret[12:].encode().hex()):
        assert hidden not in text


async def test_keys_are_rolled_without_a_pause(
    ctx: Context, registered: Registered, operator: Caller, clock: FrozenClock
) -> None:
    app_id, first = registered.app.public_id, registered.issued

    second = await api_keys.roll(
        ctx, operator, app_id, first.key.api_key_id, old_ends_at=clock.now + timedelta(hours=1)
    )

    await _by_key(ctx, first.secret)
    await _by_key(ctx, second.secret)
    clock.advance(hours=1)
    with pytest.raises(ApiKeyExpiredError):
        await _by_key(ctx, first.secret)
    await _by_key(ctx, second.secret)
    with pytest.raises(InvalidRequestError):
        await api_keys.roll(
            ctx, operator, app_id, first.key.api_key_id, old_ends_at=clock.now + timedelta(hours=1)
        )


async def test_a_revoked_key_is_refused_at_once(
    ctx: Context, registered: Registered, operator: Caller, clock: FrozenClock
) -> None:
    key_id = registered.issued.key.api_key_id

    ended = await api_keys.revoke(ctx, operator, registered.app.public_id, key_id)
    clock.advance(seconds=5)

    with pytest.raises(ApiKeyRevokedError):
        await _by_key(ctx, registered.issued.secret)
    again = await api_keys.revoke(ctx, operator, registered.app.public_id, key_id)
    assert again.revoked_at == ended.revoked_at


async def test_a_key_of_another_app_is_not_found(
    ctx: Context, registered: Registered, other: Registered, operator: Caller
) -> None:
    with pytest.raises(NotFoundError):
        await api_keys.revoke(ctx, operator, registered.app.public_id, other.issued.key.api_key_id)
    with pytest.raises(NotFoundError):
        await api_keys.of_app(ctx, operator, "app_unknown")


async def test_an_app_has_at_most_twenty_live_keys(
    ctx: Context, registered: Registered, operator: Caller, clock: FrozenClock
) -> None:
    app_id = registered.app.public_id
    for _ in range(19):
        await api_keys.add(ctx, operator, app_id)

    with pytest.raises(InvalidRequestError):
        await api_keys.add(ctx, operator, app_id)

    await api_keys.revoke(ctx, operator, app_id, registered.issued.key.api_key_id)
    with pytest.raises(InvalidRequestError):
        await api_keys.add(ctx, operator, app_id, expires_at=clock.now)
    await api_keys.add(ctx, operator, app_id)


async def test_the_use_of_a_key_is_noted_once_a_minute(
    ctx: Context, registered: Registered, operator: Caller, clock: FrozenClock
) -> None:
    async def noted() -> float:
        [key] = await api_keys.of_app(ctx, operator, registered.app.public_id)
        assert key.last_used_at is not None
        return (key.last_used_at - registered.app.created_at).total_seconds()

    seen = []
    for seconds in (0, 59, 1):
        clock.advance(seconds=seconds)
        await asyncio.gather(*(_by_key(ctx, registered.issued.secret) for _ in range(5)))
        seen.append(await noted())

    assert seen == [0, 0, 60]


async def test_a_permission_taken_away_is_gone_from_living_sessions(
    ctx: Context, user: User, registered: Registered, operator: Caller
) -> None:
    opened = await enter(ctx, registered)
    change = AppChange(permissions=[Permission.READ_CREDITS], name="Renamed")

    changed = await apps.update(ctx, operator, registered.app.public_id, change)

    caller = await sessions.authenticate(ctx, bearer=opened.tokens.session_token, api_key=None)
    assert caller.permissions == {Permission.READ_CREDITS}
    assert (changed.name, changed.domain) == ("Renamed", registered.app.domain)


async def test_only_an_admin_manages_apps(ctx: Context, user: User, registered: Registered) -> None:
    opened = await enter(ctx)
    by_session = await sessions.authenticate(ctx, bearer=opened.tokens.session_token, api_key=None)
    app_id = registered.app.public_id

    for caller in (by_session, await _by_key(ctx, registered.issued.secret)):
        for refused in (
            apps.register(ctx, caller, name="Mine", permissions=list(Permission)),
            apps.page(ctx, caller),
            apps.get(ctx, caller, app_id),
            apps.update(ctx, caller, app_id, AppChange(permissions=list(Permission))),
            apps.create_database_login(ctx, caller, app_id),
            api_keys.of_app(ctx, caller, app_id),
            api_keys.add(ctx, caller, app_id),
            api_keys.revoke(ctx, caller, app_id, 1),
        ):
            with pytest.raises(AdminRequiredError):
                await refused


async def test_every_act_on_an_app_is_written_down_without_its_secrets(
    ctx: Context, registered: Registered, operator: Caller, clock: FrozenClock
) -> None:
    app_id = registered.app.public_id
    added = await api_keys.add(ctx, operator, app_id, label="second")
    await api_keys.revoke(ctx, operator, app_id, added.key.api_key_id)
    for _ in range(2):
        await apps.update(ctx, operator, app_id, AppChange(is_active=False))
    login = await apps.create_database_login(ctx, operator, app_id)

    async with ctx.db.snapshot() as tx:
        entries = await audit.of_subject(tx, ("app", app_id))
    assert [entry.action for entry in entries] == [
        "app.registered",
        "api_key.added",
        "api_key.revoked",
        "app.changed",
        "app.database_login",
    ]
    assert (entries[3].before or {})["is_active"] is True
    assert (entries[3].after or {})["is_active"] is False
    for secret in (added.secret, registered.issued.secret, login.password):
        assert secret not in str(entries)


async def test_a_database_login_sees_the_views_and_a_new_password_ends_the_old_one(
    ctx: Context, user: User, registered: Registered, operator: Caller
) -> None:
    first = await apps.create_database_login(ctx, operator, registered.app.public_id)
    with psycopg.connect(first.url) as connection:
        assert connection.execute("SELECT id, email FROM users").fetchall() == [(user.user_id, user.email)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT password_hash FROM tallybook.users")

    second = await apps.create_database_login(ctx, operator, registered.app.public_id)

    assert second.role == first.role
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(first.url)
    psycopg.connect(second.url).close()

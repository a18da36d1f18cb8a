"""Sessions: whose token counts where, and real revocation."""

from __future__ import annotations

import psycopg
import pytest
from conftest import FrozenClock, TestDatabase
from identity.people import EMAIL, PASSWORD, enter

from tallybook.domain.errors import (
    ApiKeyInvalidError,
    AppNotFoundError,
    AuthenticationRequiredError,
    BillingError,
    TokenExpiredError,
    TokenForeignAppError,
    TokenInvalidError,
    TokenRevokedError,
    UserInactiveError,
)
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.identity.people import Role, User
from tallybook.domain.identity.sessions import SignedIn
from tallybook.usecases import sessions, users
from tallybook.usecases.apps import Registered
from tallybook.usecases.context import Context


async def _caller(ctx: Context, opened: SignedIn, api_key: str | None = None) -> Caller:
    return await sessions.authenticate(ctx, bearer=opened.tokens.session_token, api_key=api_key)


async def _refreshed(ctx: Context, opened: SignedIn) -> SignedIn:
    return await sessions.refresh(ctx, refresh_token=opened.tokens.refresh_token)


async def test_a_session_of_an_app_has_the_permissions_of_the_app(
    ctx: Context, user: User, registered: Registered
) -> None:
    caller = await _caller(ctx, await enter(ctx, registered), registered.issued.secret)

    assert caller.user_id == user.user_id
    assert caller.app_public_id == registered.app.public_id
    assert Permission.CONSUME_CREDITS in caller.permissions
    assert Permission.GRANT_CREDITS not in caller.permissions


async def test_an_admin_rules_the_house_but_not_through_an_app(
    ctx: Context, admin: User, registered: Registered
) -> None:
    at_home = await sessions.sign_in(ctx, email=admin.email, password=PASSWORD)
    abroad = await sessions.sign_in(
        ctx, email=admin.email, password=PASSWORD, app_public_id=registered.app.public_id
    )

    assert (await _caller(ctx, at_home)).rules_the_house
    assert not (await _caller(ctx, abroad)).rules_the_house
    assert admin.role is Role.ADMIN


async def test_nothing_and_nonsense_do_not_authenticate(ctx: Context) -> None:
    with pytest.raises(AuthenticationRequiredError):
        await sessions.authenticate(ctx, bearer=None, api_key=None)
    with pytest.raises(TokenInvalidError):
        await sessions.authenticate(ctx, bearer="nonsense", api_key=None)
    with pytest.raises(ApiKeyInvalidError):
        await sessions.authenticate(ctx, bearer=None, api_key="nonsense")
    with pytest.raises(ApiKeyInvalidError):
        await sessions.authenticate(ctx, bearer="tb_test_nonsense", api_key=None)


async def test_a_session_token_beside_a_key_of_another_app_is_refused(
    ctx: Context, user: User, registered: Registered, other: Registered
) -> None:
    opened = await enter(ctx, registered)

    with pytest.raises(ApiKeyInvalidError):
        await _caller(ctx, opened, other.issued.secret)
    with pytest.raises(ApiKeyInvalidError):
        await sessions.authenticate(ctx, bearer=registered.issued.secret, api_key=other.issued.secret)


async def test_a_token_counts_only_in_its_own_app(
    ctx: Context, user: User, registered: Registered, other: Registered
) -> None:
    token = (await enter(ctx, registered)).tokens.session_token
    at_home = (await enter(ctx)).tokens.session_token

    for foreign, app in ((token, other), (at_home, registered)):
        with pytest.raises(TokenForeignAppError):
            await sessions.validate(ctx, session_token=foreign, app_public_id=app.app.public_id)
    with pytest.raises(AppNotFoundError):
        await sessions.validate(ctx, session_token=token, app_public_id="app_unknown")
    found = await sessions.validate(ctx, session_token=token, app_public_id=registered.app.public_id)
    assert found.user == user


async def test_an_expired_token_has_its_own_code(ctx: Context, user: User, clock: FrozenClock) -> None:
    opened = await enter(ctx)

    clock.advance(seconds=600)

    with pytest.raises(TokenExpiredError):
        await _caller(ctx, opened)
    await _caller(ctx, await _refreshed(ctx, opened))


async def test_a_refresh_token_is_no_session_token(ctx: Context, user: User) -> None:
    opened = await enter(ctx)

    with pytest.raises(TokenInvalidError):
        await sessions.authenticate(ctx, bearer=opened.tokens.refresh_token, api_key=None)
    with pytest.raises(TokenInvalidError):
        await sessions.refresh(ctx, refresh_token=opened.tokens.session_token)


async def test_signing_out_ends_the_session_at_once(ctx: Context, user: User) -> None:
    opened, elsewhere = await enter(ctx), await enter(ctx)

    await sessions.sign_out(ctx, await _caller(ctx, opened))

    with pytest.raises(TokenRevokedError):
        await _caller(ctx, opened)
    with pytest.raises(TokenRevokedError):
        await _refreshed(ctx, opened)
    await _caller(ctx, elsewhere)


async def test_an_inactive_user_is_out_at_once_and_old_sessions_stay_out(
    ctx: Context, user: User, operator: Caller
) -> None:
    opened = await enter(ctx)

    await users.set_active(ctx, operator, user.user_id, is_active=False)

    with pytest.raises(UserInactiveError):
        await _caller(ctx, opened)
    with pytest.raises(UserInactiveError):
        await _refreshed(ctx, opened)
    await users.set_active(ctx, operator, user.user_id, is_active=True)
    with pytest.raises(TokenRevokedError):
        await _caller(ctx, opened)


async def test_a_new_password_ends_every_session(ctx: Context, user: User, clock: FrozenClock) -> None:
    opened = await enter(ctx)
    caller = await _caller(ctx, opened)
    clock.advance(seconds=1)

    await users.change_password(ctx, caller, old_password=PASSWORD, new_password="another one of the tests")

    with pytest.raises(TokenRevokedError):
        await _caller(ctx, opened)
    again = await sessions.sign_in(ctx, email=EMAIL, password="another one of the tests")
    await _caller(ctx, again)


async def test_a_token_of_a_session_that_is_gone_is_invalid(
    ctx: Context, user: User, database: TestDatabase
) -> None:
    opened = await enter(ctx)
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("DELETE FROM tallybook.sessions")

    for refused in (_caller(ctx, opened), _refreshed(ctx, opened)):
        with pytest.raises(BillingError) as refusal:
            await refused
        assert refusal.value.code == "token_invalid"

"""A process that remembers its callers, another one over the same database, and what they change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from databases import FrozenClock, TestDatabase

from tallybook import app
from tallybook.domain.errors import (
    ApiKeyRevokedError,
    AppNotFoundError,
    BillingError,
    PermissionDeniedError,
    TokenRevokedError,
    UserInactiveError,
)
from tallybook.domain.identity.apps import AppChange
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.money import Credits
from tallybook.settings import Settings
from tallybook.usecases import api_keys, apps, sessions, users, wallets
from tallybook.usecases.context import Context

OPERATOR = Caller(is_admin=True)
PASSWORD = "a good long password"


@dataclass(frozen=True, slots=True)
class Cast:
    """A process that remembers, another one over the same database, and whom both know."""

    ctx: Context
    other: Context
    database: TestDatabase
    clock: FrozenClock
    app_id: str
    key_id: int
    api_key: str
    user_id: int
    token: str

    async def by_key(self) -> Caller:
        return await sessions.authenticate(self.ctx, bearer=None, api_key=self.api_key)

    async def by_token(self) -> Caller:
        return await sessions.authenticate(self.ctx, bearer=self.token, api_key=None)

    async def spends(self) -> object:
        caller = await self.by_key()
        return await wallets.spend(self.ctx, caller, credits=Credits.whole(1), key=None, user_id=self.user_id)


@asynccontextmanager
async def hearing(ctx: Context) -> AsyncIterator[None]:
    async with ctx.known.listening():
        await until(lambda: ctx.known.is_hearing)
        yield


async def until(holds: Callable[[], object], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come true"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def introduced(
    ctx: Context, database: TestDatabase, settings: Settings, clock: FrozenClock
) -> AsyncIterator[Cast]:
    made = await apps.register(ctx, OPERATOR, name="reader")
    user = await users.create_user(ctx, "ada@example.com", PASSWORD)
    await wallets.grant(ctx, OPERATOR, user_id=user.user_id, credits=Credits.whole(100), key=None)
    signed = await sessions.sign_in(
        ctx, email="ada@example.com", password=PASSWORD, app_public_id=made.app.public_id
    )
    async with app.open_context(settings, database.installation(), clock=clock) as other, hearing(ctx):
        yield Cast(
            ctx=ctx,
            other=other,
            database=database,
            clock=clock,
            app_id=made.app.public_id,
            key_id=made.issued.key.api_key_id,
            api_key=made.issued.secret,
            user_id=user.user_id,
            token=signed.tokens.session_token,
        )


@asynccontextmanager
async def locked(cast: Cast) -> AsyncIterator[None]:
    """Whoever looks at the tables of callers and owners has to wait."""
    async with await psycopg.AsyncConnection.connect(cast.database.superuser_url) as connection:
        await connection.execute(
            "LOCK TABLE tallybook.apps, tallybook.api_keys, tallybook.users, tallybook.sessions,"
            " tallybook.wallets IN ACCESS EXCLUSIVE MODE"
        )
        yield
        await connection.rollback()


async def refused_soon(act: Callable[[], Awaitable[object]], kind: type[BillingError]) -> None:
    """Within a second the act is refused, and stays so."""
    deadline = time.monotonic() + 1
    while True:
        try:
            await act()
        except kind:
            break
        assert time.monotonic() < deadline, f"still allowed after a second: {kind.code}"
        await asyncio.sleep(0.01)
    for _ in range(3):
        with pytest.raises(kind):
            await act()


async def revoke_key(cast: Cast, where: Context) -> None:
    await api_keys.revoke(where, OPERATOR, cast.app_id, cast.key_id)


async def switch_app_off(cast: Cast, where: Context) -> None:
    await apps.update(where, OPERATOR, cast.app_id, AppChange(is_active=False))


async def take_permission(cast: Cast, where: Context) -> None:
    change = AppChange(permissions=frozenset({Permission.READ_CREDITS}))
    await apps.update(where, OPERATOR, cast.app_id, change)


async def deactivate_user(cast: Cast, where: Context) -> None:
    await users.set_active(where, OPERATOR, cast.user_id, is_active=False)


async def sign_out(cast: Cast, where: Context) -> None:
    caller = await sessions.authenticate(where, bearer=cast.token, api_key=None)
    await sessions.sign_out(where, caller)


CHANGES: list[Any] = [
    pytest.param(revoke_key, Cast.by_key, ApiKeyRevokedError, id="a key that is revoked"),
    pytest.param(switch_app_off, Cast.by_key, AppNotFoundError, id="an app that is switched off"),
    pytest.param(take_permission, Cast.spends, PermissionDeniedError, id="a permission that is taken"),
    pytest.param(deactivate_user, Cast.by_token, UserInactiveError, id="a user who is switched off"),
    pytest.param(deactivate_user, Cast.spends, UserInactiveError, id="spending for one who is"),
    pytest.param(sign_out, Cast.by_token, TokenRevokedError, id="a session that ended"),
]

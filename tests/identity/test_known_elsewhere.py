"""What is remembered of callers: the second half of its tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from databases import FrozenClock, TestDatabase

from tallybook import app
from tallybook.domain.errors import (
    ApiKeyRevokedError,
    AppNotFoundError,
    BillingError,
    PermissionDeniedError,
    TokenRevokedError,
    UserInactiveError,
    WalletNotFoundError,
)
from tallybook.domain.identity.apps import AppChange
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.money import Credits
from tallybook.settings import Settings
from tallybook.usecases import api_keys, apps, organisations, sessions, users, wallets
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


@pytest_asyncio.fixture
async def cast(
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


async def test_a_member_who_leaves_loses_the_wallet_within_a_second(cast: Cast) -> None:
    signed = await sessions.sign_in(cast.ctx, email="ada@example.com", password=PASSWORD)
    member = await sessions.authenticate(cast.ctx, bearer=signed.tokens.session_token, api_key=None)
    made = await organisations.found(cast.ctx, OPERATOR, name="Lab", owner_user_id=cast.user_id)
    wallet_id = made.organisation.wallet_id
    await wallets.wallet(cast.ctx, member, wallet_id)

    with psycopg.connect(cast.database.superuser_url) as connection:
        connection.execute("DELETE FROM tallybook.organisation_members")

    await refused_soon(lambda: wallets.wallet(cast.ctx, member, wallet_id), WalletNotFoundError)


async def test_a_key_in_use_is_noted_once_a_minute_and_tells_nobody(cast: Cast) -> None:
    await asyncio.gather(*(cast.by_key() for _ in range(20)))

    cast.clock.advance(seconds=61)
    await asyncio.gather(*(cast.by_key() for _ in range(20)))

    with psycopg.connect(cast.database.superuser_url) as connection:
        row = connection.execute(
            "SELECT last_used_at FROM tallybook.api_keys WHERE api_key_id = %s", [cast.key_id]
        ).fetchone()
    assert row == (cast.clock.now,)


async def test_a_balance_is_never_older_than_the_question(cast: Cast) -> None:
    caller = await cast.by_key()
    for number in range(1, 31):
        await cast.spends()
        found = await asyncio.gather(
            *(wallets.wallet_of_user(cast.ctx, caller, cast.user_id) for _ in range(10))
        )
        assert {wallet.available_micro for wallet in found} == {(100 - number) * 1_000_000}

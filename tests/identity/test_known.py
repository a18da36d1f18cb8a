"""What a process remembers of its callers: it asks less, and still every change counts at once, wherever it is made."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from databases import FrozenClock, TestDatabase
from psycopg import sql

from tallybook import app
from tallybook.domain.errors import (
    ApiKeyExpiredError,
    ApiKeyRevokedError,
    AppNotFoundError,
    BillingError,
    PermissionDeniedError,
    TokenExpiredError,
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


async def test_who_calls_again_is_known_without_a_look_at_the_database(cast: Cast) -> None:
    await cast.spends()
    await cast.by_token()

    async with locked(cast), asyncio.timeout(1):
        for _ in range(20):
            await cast.by_key()
            await cast.by_token()
            place = await cast.ctx.known.place(cast.user_id)

    assert place is not None and place.wallet_id is not None


@pytest.mark.parametrize(("change", "act", "refusal"), CHANGES)
async def test_what_this_process_changes_counts_at_once(
    cast: Cast, change: Any, act: Any, refusal: type[BillingError]
) -> None:
    await act(cast)

    await change(cast, cast.ctx)

    with pytest.raises(refusal):
        await act(cast)


@pytest.mark.parametrize(("change", "act", "refusal"), CHANGES)
async def test_what_another_process_changes_counts_within_a_second(
    cast: Cast, change: Any, act: Any, refusal: type[BillingError]
) -> None:
    await act(cast)

    await change(cast, cast.other)

    await refused_soon(lambda: act(cast), refusal)


@pytest.mark.parametrize(("change", "act", "refusal"), CHANGES)
async def test_it_holds_while_the_listening_connection_is_cut(
    cast: Cast, change: Any, act: Any, refusal: type[BillingError]
) -> None:
    await act(cast)
    async with kept_from_listening(cast):
        await act(cast)

        await change(cast, cast.other)

        with pytest.raises(refusal):
            await act(cast)


@asynccontextmanager
async def kept_from_listening(cast: Cast) -> AsyncIterator[None]:
    """The listening connection is cut, and the database lets no new one in."""
    url = f"{cast.database.superuser_url.rpartition('/')[0]}/postgres"
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        door = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format
        name = sql.Identifier(cast.database.name)
        await connection.execute(door(name, sql.SQL("false")))
        try:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND query LIKE %s",
                [cast.database.name, "LISTEN%"],
            )
            await until(lambda: not cast.ctx.known.is_hearing)
            yield
        finally:
            await connection.execute(door(name, sql.SQL("true")))


async def cut(cast: Cast) -> None:
    """Cut the connection that listens."""
    async with await psycopg.AsyncConnection.connect(
        cast.database.superuser_url, autocommit=True
    ) as connection:
        done = await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        )
        assert done.rowcount >= 1, "nobody listened"


async def test_after_a_cut_it_listens_and_remembers_again(cast: Cast) -> None:
    await cut(cast)
    await until(lambda: not cast.ctx.known.is_hearing)
    await cast.by_key()

    await until(lambda: cast.ctx.known.is_hearing)

    await cast.by_key()
    await revoke_key(cast, cast.other)
    await refused_soon(cast.by_key, ApiKeyRevokedError)


async def test_an_answer_that_was_on_its_way_during_a_change_is_not_remembered(cast: Cast) -> None:
    await cast.by_key()
    cast.ctx.known.forget()
    looking = asyncio.create_task(cast.by_key())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not looking.done()

    cast.ctx.known.forget()

    await looking
    async with locked(cast):
        again = asyncio.create_task(cast.by_key())
        await asyncio.sleep(0.2)
        assert not again.done(), "what was read before the change was remembered after it"
    await again


async def test_limits_in_time_are_looked_at_in_each_use(cast: Cast) -> None:
    await cast.by_token()
    issued = await api_keys.add(
        cast.ctx, OPERATOR, cast.app_id, label="brief", expires_at=cast.clock.now.replace(hour=13)
    )
    brief = replace(cast, api_key=issued.secret)
    await brief.by_key()

    cast.clock.advance(hours=2)

    with pytest.raises(ApiKeyExpiredError):
        await brief.by_key()
    with pytest.raises(TokenExpiredError):
        await cast.by_token()

"""Refresh with rotation: successors, replays, fifty at once, and the absolute end."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from conftest import FrozenClock, TestDatabase
from identity.people import enter

from tallybook.domain.errors import (
    RefreshTokenReusedError,
    TokenExpiredError,
    TokenInvalidError,
    TokenRevokedError,
)
from tallybook.domain.identity.callers import Caller
from tallybook.domain.identity.people import User
from tallybook.domain.identity.sessions import SignedIn
from tallybook.usecases import sessions
from tallybook.usecases.apps import Registered
from tallybook.usecases.context import Context


async def _caller(ctx: Context, opened: SignedIn, api_key: str | None = None) -> Caller:
    return await sessions.authenticate(ctx, bearer=opened.tokens.session_token, api_key=api_key)


async def _refreshed(ctx: Context, opened: SignedIn) -> SignedIn:
    return await sessions.refresh(ctx, refresh_token=opened.tokens.refresh_token)


async def test_a_refresh_gives_the_next_pair(
    ctx: Context, user: User, registered: Registered, clock: FrozenClock
) -> None:
    first = await enter(ctx, registered)
    clock.advance(seconds=300)

    second = await _refreshed(ctx, first)
    third = await _refreshed(ctx, second)

    assert len({pair.tokens.refresh_token for pair in (first, second, third)}) == 3
    assert (await _caller(ctx, third)).session_id == (await _caller(ctx, first)).session_id


async def test_a_refresh_that_is_repeated_at_once_gets_the_same_successor(
    ctx: Context, user: User, clock: FrozenClock
) -> None:
    opened = await enter(ctx)
    first = await _refreshed(ctx, opened)
    clock.advance(seconds=30)

    again = await _refreshed(ctx, opened)

    assert again.tokens.refresh_token == first.tokens.refresh_token
    assert again.replayed
    await _refreshed(ctx, again)


async def test_a_refresh_token_that_comes_late_again_ends_the_session(
    ctx: Context, user: User, clock: FrozenClock, database: TestDatabase
) -> None:
    opened = await enter(ctx)
    stolen = await _refreshed(ctx, opened)
    clock.advance(seconds=31)

    with pytest.raises(RefreshTokenReusedError):
        await _refreshed(ctx, opened)

    for refused in (_caller(ctx, stolen), _refreshed(ctx, stolen), _refreshed(ctx, opened)):
        with pytest.raises(TokenRevokedError):
            await refused
    with psycopg.connect(database.superuser_url) as connection:
        row = connection.execute("SELECT revoked_reason FROM tallybook.sessions").fetchone()
    assert row == ("refresh_token_reused",)


async def test_a_token_two_generations_old_ends_the_session_even_at_once(ctx: Context, user: User) -> None:
    opened = await enter(ctx)
    await _refreshed(ctx, await _refreshed(ctx, opened))

    with pytest.raises(RefreshTokenReusedError):
        await _refreshed(ctx, opened)


async def test_fifty_refreshes_at_once_make_one_successor(
    ctx: Context, user: User, database: TestDatabase
) -> None:
    opened = await enter(ctx)

    answers = await asyncio.gather(*(_refreshed(ctx, opened) for _ in range(50)))

    assert len({answer.tokens.refresh_token for answer in answers}) == 1
    assert [answer.replayed for answer in answers].count(False) == 1
    with psycopg.connect(database.superuser_url) as connection:
        rows = connection.execute("SELECT refresh_generation, revoked_at FROM tallybook.sessions").fetchall()
    assert rows == [(1, None)]


async def test_a_session_ends_at_last_however_often_it_is_refreshed(
    ctx: Context, user: User, clock: FrozenClock
) -> None:
    opened = await enter(ctx)
    clock.advance(seconds=ctx.session_seconds - 5)

    last = await _refreshed(ctx, opened)

    assert last.tokens.expires_in == 5
    clock.advance(seconds=5)
    for refused in (_caller(ctx, last), _refreshed(ctx, last)):
        with pytest.raises(TokenExpiredError):
            await refused


async def test_a_changed_refresh_token_is_invalid(ctx: Context, user: User) -> None:
    token = (await enter(ctx)).tokens.refresh_token
    head, generation, code = token.rsplit("_", 2)

    for changed in (
        f"{head}_1_{code}",
        f"{head}_{generation}_{'0' * 64}",
        f"tbr_{'0' * 32}_{generation}_{code}",
        token.upper(),
        token + " ",
    ):
        with pytest.raises(TokenInvalidError):
            await sessions.refresh(ctx, refresh_token=changed)

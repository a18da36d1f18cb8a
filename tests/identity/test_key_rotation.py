"""Rotation of the signing key, in this process and in others."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from conftest import FrozenClock, TestDatabase
from identity.people import enter

from tallybook.domain.errors import (
    TokenInvalidError,
)
from tallybook.domain.identity.callers import Caller
from tallybook.domain.identity.people import User
from tallybook.domain.identity.sessions import SignedIn
from tallybook.usecases import sessions, signing_keys
from tallybook.usecases.context import Context


async def _caller(ctx: Context, opened: SignedIn, api_key: str | None = None) -> Caller:
    return await sessions.authenticate(ctx, bearer=opened.tokens.session_token, api_key=api_key)


async def _refreshed(ctx: Context, opened: SignedIn) -> SignedIn:
    return await sessions.refresh(ctx, refresh_token=opened.tokens.refresh_token)


async def test_rotating_the_signing_key_signs_nobody_out(
    ctx: Context, user: User, operator: Caller, clock: FrozenClock
) -> None:
    opened = await enter(ctx)
    clock.advance(seconds=2)

    key_id = await signing_keys.rotate(ctx, operator)

    await _caller(ctx, opened)
    await _caller(ctx, await enter(ctx))
    keys = (await signing_keys.public_keys(ctx))["keys"]
    assert len(keys) == 2
    assert key_id in [key["kid"] for key in keys]


async def test_a_process_learns_of_a_rotation_elsewhere(
    ctx: Context, user: User, operator: Caller, clock: FrozenClock
) -> None:
    elsewhere = await signing_keys.ensure_signer(ctx.db, ctx.sealer, clock, "http://testserver")
    clock.advance(seconds=2)
    await signing_keys.rotate(ctx, operator)
    opened = await enter(ctx)
    with pytest.raises(TokenInvalidError):
        elsewhere.read(opened.tokens.session_token)

    ctx.signer.use(list(elsewhere._stored.values()))
    clock.advance(seconds=2)

    await _caller(ctx, opened)


async def test_first_starts_at_once_make_one_signing_key(
    ctx: Context, clock: FrozenClock, database: TestDatabase
) -> None:
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("DELETE FROM tallybook.signing_keys")
        connection.commit()
        # All of them see that there is no key before any of them can add one.
        connection.execute("LOCK TABLE tallybook.signing_keys IN SHARE MODE")
        starts = [
            asyncio.create_task(signing_keys.ensure_signer(ctx.db, ctx.sealer, clock, "i")) for _ in range(6)
        ]
        await asyncio.sleep(0.5)
        connection.commit()
        signers = await asyncio.gather(*starts)
        made = connection.execute("SELECT key_id FROM tallybook.signing_keys").fetchall()

    assert len(made) == 1
    assert {signer.jwks()["keys"][0]["kid"] for signer in signers} == {made[0][0]}

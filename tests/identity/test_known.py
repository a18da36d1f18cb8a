"""What a process remembers of its callers: it asks less, and still every change counts at once, wherever it is made."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from identity.remembering import (
    CHANGES,
    OPERATOR,
    PASSWORD,
    Cast,
    locked,
    refused_soon,
    revoke_key,
    until,
)
from psycopg import sql

from tallybook.domain.errors import (
    ApiKeyExpiredError,
    ApiKeyRevokedError,
    BillingError,
    TokenExpiredError,
    WalletNotFoundError,
)
from tallybook.postgres import known
from tallybook.usecases import api_keys, organisations, sessions, wallets


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


async def test_it_is_remembered_for_as_long_as_changes_are_heard(cast: Cast) -> None:
    async def is_remembered() -> bool:
        await cast.by_key()
        await asyncio.sleep(known.TRUSTED_SECONDS + 0.5)
        async with locked(cast):
            with suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await cast.by_key()
                    return True
        return False

    # On a busy machine the connection may have gone unanswered for a moment: then all was forgotten.
    assert await is_remembered() or await is_remembered() or await is_remembered()


async def test_a_connection_that_is_dead_without_knowing_it_is_trusted_no_more(cast: Cast) -> None:
    await cast.by_key()
    with frozen(cast):
        await revoke_key(cast, cast.other)

        await until(lambda: not cast.ctx.known.is_hearing, seconds=known.TRUSTED_SECONDS + 5)

        with pytest.raises(ApiKeyRevokedError):
            await cast.by_key()


@contextmanager
def frozen(cast: Cast) -> Iterator[None]:
    """The backend that tells this process of changes does nothing; the connection stands."""
    with psycopg.connect(cast.database.superuser_url, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        ).fetchall()
    assert rows, "nobody listened"
    for [pid] in rows:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for [pid] in rows:
            os.kill(pid, signal.SIGCONT)


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

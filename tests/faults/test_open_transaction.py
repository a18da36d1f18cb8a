"""An app's open transaction stops nobody else: only the wallet that it touched waits, and says so."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import psycopg
import pytest
from running_service import Running

OTHERS = 5
SPENDS = 100
HAMMERS = 24
# The app's own role ends an idle transaction after 10 s; everybody else has to be done long before.
BOUND_SECONDS = 8.0
INSERT = "INSERT INTO credits_transactions (user_id, amount, description) VALUES (%s, %s, 'left open')"


@dataclass(slots=True)
class Wallets:
    """The customer whose wallet gets stuck, the others, and what callers of the stuck one were answered."""

    running: Running
    http: httpx.AsyncClient
    others: list[int]
    answers: Counter[str] = field(default_factory=Counter)
    told: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a caller was told that the wallet is busy."""

    async def spend(self, user_id: int, key: str, *, micro: int = 1_000_000) -> httpx.Response:
        """Spend one credit."""
        body = {"user_id": user_id, "type": "spend", "amount_micro": micro}
        return await self.http.post("/v1/transfers", json=body, headers={"Idempotency-Key": key})

    async def hammer(self, number: int) -> str:
        """Ask for one spend of the stuck wallet, again and again under one key until it is answered."""
        key = f"hammer-{number}"
        while True:
            answer = await self.spend(self.running.user_id, key)
            if answer.status_code != 503:
                self.answers[str(answer.status_code)] += 1
                return key
            code = answer.json()["code"]
            self.answers[code] += 1
            assert code == "wallet_busy", answer.text
            assert int(answer.headers["Retry-After"]) >= 1
            self.told.set()
            await asyncio.sleep(0.2)

    def available(self, user_id: int) -> int:
        """Whole credits that a customer can spend."""
        with psycopg.connect(self.running.database.superuser_url) as connection:
            row = connection.execute(
                "SELECT available_micro / 1000000 FROM tallybook.wallets WHERE owner_user_id = %s", [user_id]
            ).fetchone()
        assert row is not None
        return int(row[0])


@asynccontextmanager
async def opened(running: Running) -> AsyncIterator[Wallets]:
    """Everybody has a hundred credits."""
    with psycopg.connect(running.database.superuser_url, autocommit=True) as connection:
        made = connection.execute(
            "INSERT INTO tallybook.users"
            " (email, email_key, password_hash, sessions_valid_from, created_at, updated_at)"
            " SELECT name, name, '-', now(), now(), now()"
            " FROM (SELECT gen_random_uuid() || '@example.com' AS name FROM generate_series(1, %s)) AS new"
            " RETURNING user_id",
            [OTHERS],
        ).fetchall()
    async with httpx.AsyncClient(
        base_url=running.base_url, headers={"X-API-Key": running.api_key}, timeout=30, trust_env=False
    ) as http:
        wallets = Wallets(running, http, [row[0] for row in made])
        for user_id in (running.user_id, *wallets.others):
            body = {"user_id": user_id, "type": "grant", "amount_micro": 100_000_000}
            answer = await http.post(
                "/v1/transfers", json=body, headers={"Idempotency-Key": os.urandom(8).hex()}
            )
            assert answer.status_code == 201, answer.text
        yield wallets


async def spend_elsewhere(wallets: Wallets) -> float:
    """A hundred spends on other wallets; gives how many seconds they took."""
    began = time.monotonic()
    for start in range(0, SPENDS, 10):
        answers = await asyncio.gather(
            *(wallets.spend(wallets.others[n % OTHERS], f"elsewhere-{n}") for n in range(start, start + 10))
        )
        assert [answer.status_code for answer in answers] == [201] * 10, [a.text for a in answers]
    return time.monotonic() - began


@pytest.mark.parametrize(("ending", "taken"), [("commit", 30), ("rollback", 0)])
async def test_an_open_transaction_delays_only_its_own_wallet(
    running: Running, ending: str, taken: int
) -> None:
    async with opened(running) as wallets:
        app = await psycopg.AsyncConnection.connect(running.app_database_url)
        await app.execute(INSERT, [running.user_id, -30])
        hammers = [asyncio.create_task(wallets.hammer(n)) for n in range(HAMMERS)]
        # Until the first caller is told that the wallet is busy, all who hammer it wait for its lock.
        await asyncio.wait_for(wallets.told.wait(), 20)
        seconds = await spend_elsewhere(wallets)
        still_open = app.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        stuck = sum(not hammer.done() for hammer in hammers)
        await (app.commit() if ending == "commit" else app.rollback())
        await asyncio.gather(*hammers)
        await app.close()

        assert still_open and stuck == HAMMERS
        assert seconds < BOUND_SECONDS
        assert wallets.answers["201"] == HAMMERS
        assert wallets.available(running.user_id) == 100 - taken - HAMMERS
        assert sum(wallets.available(user) for user in wallets.others) == OTHERS * 100 - SPENDS


async def test_an_app_that_never_ends_its_transaction_is_cut_off_and_the_wallet_goes_on(
    running: Running,
) -> None:
    async with opened(running) as wallets:
        app = await psycopg.AsyncConnection.connect(running.app_database_url)
        await app.execute(INSERT, [running.user_id, -30])

        keys = await asyncio.gather(*(wallets.hammer(n) for n in range(4)))

        assert wallets.answers["201"] == len(keys)
        with pytest.raises((psycopg.errors.IdleInTransactionSessionTimeout, psycopg.OperationalError)):
            await app.execute("SELECT 1")
        await app.close()
        assert wallets.available(running.user_id) == 100 - len(keys)


async def test_a_second_app_connection_waits_a_bounded_time_for_the_locked_wallet(running: Running) -> None:
    async with opened(running) as wallets:
        first = await psycopg.AsyncConnection.connect(running.app_database_url)
        second = await psycopg.AsyncConnection.connect(running.app_database_url)
        await first.execute(INSERT, [running.user_id, -30])

        began = time.monotonic()
        with pytest.raises(psycopg.errors.LockNotAvailable):
            await second.execute(INSERT, [running.user_id, -30])
        waited = time.monotonic() - began
        await second.rollback()
        await first.commit()
        await second.execute(INSERT, [running.user_id, -30])
        await second.commit()
        await first.close()
        await second.close()

        assert 4 < waited < 10
        assert wallets.available(running.user_id) == 40


async def test_a_wallet_that_is_just_being_opened_delays_others_for_a_bounded_time(running: Running) -> None:
    async with opened(running) as wallets:
        with psycopg.connect(running.database.superuser_url, autocommit=True) as connection:
            [[newcomer]] = connection.execute(
                "INSERT INTO tallybook.users"
                " (email, email_key, password_hash, sessions_valid_from, created_at, updated_at)"
                " VALUES ('new@example.com', 'new@example.com', '-', now(), now(), now()) RETURNING user_id"
            ).fetchall()
        app = await psycopg.AsyncConnection.connect(running.app_database_url)
        await app.execute(INSERT, [newcomer, 50])
        hammers = [asyncio.create_task(wallets.spend(newcomer, f"hammer-{n}")) for n in range(HAMMERS)]
        await asyncio.sleep(0.5)

        seconds = await spend_elsewhere(wallets)
        still_open = app.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        await app.commit()
        answers = await asyncio.gather(*hammers)
        await app.close()

        assert still_open
        assert seconds < BOUND_SECONDS
        codes = {answer.json().get("code") for answer in answers}
        assert codes <= {None, "wallet_busy"}, codes
        taken = sum(answer.status_code == 201 for answer in answers)
        assert wallets.available(newcomer) == 50 - taken

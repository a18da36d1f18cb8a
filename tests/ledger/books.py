"""Posting to a test's ledger in few words; a plain module for the tests of this folder."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
from databases import TestDatabase
from psycopg.rows import dict_row

from tallybook.domain.errors import BillingError
from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.requests import Answer, Note, Posting, Wallet
from tallybook.domain.money import Credits, Money
from tallybook.postgres import ledger
from tallybook.postgres.pool import Database


class Books:
    """A ledger and a clock; amounts are whole credits."""

    def __init__(self, database: TestDatabase, db: Database) -> None:
        self.database = database
        self.db = db
        self.now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
        self._users = itertools.count(1)

    @classmethod
    @asynccontextmanager
    async def open(cls, database: TestDatabase) -> AsyncIterator[Books]:
        db = await Database.connect(database.service_url)
        try:
            yield cls(database, db)
        finally:
            await db.close()

    async def rows(self, query: str) -> list[dict[str, Any]]:
        """Ask as the superuser."""
        with psycopg.connect(self.database.superuser_url, row_factory=dict_row) as connection:
            return list(connection.execute(query))

    async def a_wallet(self, *, credits: int = 0) -> int:
        """The wallet of a new user."""
        email = f"user{next(self._users)}@example.com"
        with psycopg.connect(self.database.superuser_url) as connection:
            row = connection.execute(
                "INSERT INTO tallybook.users (email, email_key, password_hash, sessions_valid_from,"
                " created_at, updated_at) VALUES (%s, %s, 'none', now(), now(), now())"
                " RETURNING user_id",
                [email, email],
            ).fetchone()
            assert row is not None
        async with self.db.transaction() as tx:
            wallet = await ledger.open_wallet(tx, self.now, user_id=row[0])
        if credits:
            await self.grant(wallet, credits, key="opening")
        return wallet

    async def post_all(self, requests: Sequence[Posting]) -> list[Answer | BillingError]:
        """One batch in one transaction."""
        async with self.db.transaction() as tx:
            return await ledger.post(tx, self.now, requests, wait=True)

    async def post(self, request: Posting) -> Answer:
        """One request; raises its refusal."""
        [answer] = await self.post_all([request])
        if isinstance(answer, BillingError):
            raise answer
        return answer

    async def grant(self, wallet: int, credits: int, *, key: str, paid: Money | None = None) -> Answer:
        return await self.post(
            recipes.purchase(
                wallet,
                Credits.whole(credits),
                paid=paid or Money(1000, "usd"),
                reference=key,
                key=key,
            )
        )

    async def spend(
        self, wallet: int, credits: int, *, key: str | None, app_id: int = 1, note: Note | None = None
    ) -> Answer:
        return await self.post(
            recipes.spend(wallet, Credits.whole(credits), app_id=app_id, key=key, note=note)
        )

    async def hold(
        self, wallet: int, credits: int, *, key: str | None, app_id: int = 1, note: Note | None = None
    ) -> Answer:
        return await self.post(
            recipes.hold(wallet, Credits.whole(credits), app_id=app_id, key=key, note=note)
        )

    async def capture(self, hold: LedgerId, credits: int, *, key: str | None, final: bool = True) -> Answer:
        return await self.post(recipes.capture(hold, Credits.whole(credits), app_id=1, key=key, final=final))

    async def release(self, hold: LedgerId, *, key: str | None, app_id: int = 1) -> Answer:
        return await self.post(recipes.release(hold, app_id=app_id, key=key))

    async def wallet(self, wallet: int) -> Wallet:
        async with self.db.snapshot() as tx:
            return await ledger.wallet(tx, wallet)

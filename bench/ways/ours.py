"""The product's ledger: one request a transaction, callers who share one (group commit), and batches.

Wallets are opened and funded here for both, through the product's own functions.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import psycopg

from bench.slices import NANOSECONDS, Slice, closed_loop
from bench.ways import FUNDED
from tallybook.domain.errors import BillingError
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.requests import Answer, Fault
from tallybook.domain.money import Credits
from tallybook.postgres import ledger, verifying
from tallybook.postgres.group_commit import LANES, GroupCommit
from tallybook.postgres.pool import FAST_CONNECTIONS, PATIENT_CONNECTIONS, Database

BATCH = 128
IN_FLIGHT = 2
_AT_ONCE = 1_000
_SHOWN = 5


def now() -> datetime:
    """The time, as the service's clock gives it."""
    return datetime.now(UTC)


def open_users(product_url: str, count: int) -> list[int]:
    """Make users who cannot sign in; gives their ids."""
    with psycopg.connect(product_url, autocommit=True) as connection:
        rows = connection.execute(
            "INSERT INTO tallybook.users (email, email_key, password_hash, sessions_valid_from, "
            "created_at, updated_at) SELECT e, e, '!', now(), now(), now() "
            "FROM (SELECT 'bench-' || gen_random_uuid() || '@example.com' AS e "
            "FROM generate_series(1, %s)) AS made RETURNING user_id",
            [count],
        ).fetchall()
        return [int(row[0]) for row in rows]


async def open_wallets(
    db: Database, product_url: str, users: Sequence[int], credits: int = FUNDED
) -> list[int]:
    """Open each user's wallet and grant it ``credits``; gives the wallets in the order of the users."""
    opened: list[int] = []
    for at in range(0, len(users), _AT_ONCE):
        opened += born_wallets(product_url, users[at : at + _AT_ONCE])
        async with db.transaction(patient=True) as tx:
            grants = [
                recipes.adjustment(wallet, Credits.whole(credits), app_id=0, key="fund")
                for wallet in opened[at:]
            ]
            answers = await ledger.post(tx, now(), grants, wait=True)
            assert all(isinstance(answer, Answer) for answer in answers), answers
    with psycopg.connect(product_url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    return opened


def born_wallets(product_url: str, users: Sequence[int]) -> list[int]:
    """Open the wallets of many users at once, by the product's own function."""
    with psycopg.connect(product_url, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT tallybook.open_wallet_v1(now(), u.id, NULL) "
            "FROM unnest(%s::bigint[]) WITH ORDINALITY AS u (id, place) ORDER BY u.place",
            [list(users)],
        ).fetchall()
    return [int(row[0]) for row in rows]


def broken_promises(product_url: str) -> list[str]:
    """What the product's own verification of the whole ledger finds; empty when the books tie."""
    return [
        f"{fault.wallet_id} {fault.version} {fault.check} {fault.detail}"
        for fault in asyncio.run(_faults(product_url))[:_SHOWN]
    ]


async def _faults(product_url: str) -> list[Fault]:
    db, found = await Database.connect(product_url, connections=1), list[Fault]()
    try:
        async with db.unhurried_snapshot() as tx:
            for wallets in await verifying.ranges(tx, transfers=verifying.LOOKED_AT_ONCE):
                found += await verifying.verify(tx, wallets)
    finally:
        await db.close()
    return found


def missing(product_url: str, keys: str, accepted: int) -> list[str]:
    """What is wrong, if ``accepted`` spends with keys that start with ``keys`` were acknowledged."""
    with psycopg.connect(product_url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM tallybook.transfers WHERE kind = 'spend' AND starts_with(key, %s)",
            [keys],
        ).fetchone()
    assert row is not None
    return [] if row[0] == accepted else [f"{accepted} spends acknowledged, {row[0]} found"]


class OursWay:
    """One posting a transaction, as what needs an audit line is posted: the fast lane, then the patient one."""

    name = "Tallybook, single"
    callers = 64
    remark = f"a transaction each; 64 callers, {FAST_CONNECTIONS} + {PATIENT_CONNECTIONS} connections"

    def __init__(self, db: Database, product_url: str, keys: str = "single-") -> None:
        """Spend through the service's own pool; every idempotency key starts with ``keys``."""
        self._db = db
        self._product_url = product_url
        self._keys = keys
        self._numbers = itertools.count(1)

    async def spend(self, wallet: int, credits: int = 1) -> bool:
        """Spend under a key of its own; False is a refusal."""
        key = f"{self._keys}{next(self._numbers)}"
        posting = recipes.spend(wallet, Credits.whole(credits), app_id=0, key=key)
        for patient in (False, True):
            async with self._db.transaction(patient=patient) as tx:
                [answer] = await ledger.post(tx, now(), [posting], wait=patient)
            if isinstance(answer, Answer):
                return True
            if answer.code != "wallet_busy":
                break
        return False

    async def measure(self, wallets: Sequence[int], seconds: float) -> Slice:
        """Spend from these wallets at full speed for a bounded time."""
        return await closed_loop(self.spend, wallets, callers=self.callers, seconds=seconds)

    async def faults(self, accepted: int) -> list[str]:
        """Every acknowledged spend must be a transfer."""
        return await asyncio.to_thread(missing, self._product_url, self._keys, accepted)


class GroupCommitWay:
    """What a spend of the service does: callers who post at the same time share a statement and a commit."""

    remark = f"as the service posts; {LANES} batches on the way at most"

    def __init__(self, db: Database, product_url: str, callers: int, keys: str | None = None) -> None:
        """Spend through a group commit of its own; ``keys`` is what its keys start with."""
        self.name = f"Tallybook, group commit, {callers}"
        self.callers = callers
        self._group_commit = GroupCommit(db, now)
        self._product_url = product_url
        self._keys = keys or f"group-{callers}-"
        self._numbers = itertools.count(1)

    async def spend(self, wallet: int, credits: int = 1) -> bool:
        """Spend under a key of its own; False is a refusal."""
        key = f"{self._keys}{next(self._numbers)}"
        posting = recipes.spend(wallet, Credits.whole(credits), app_id=0, key=key)
        return isinstance(await self._group_commit.post(posting), Answer)

    async def measure(self, wallets: Sequence[int], seconds: float) -> Slice:
        """Spend from these wallets at full speed for a bounded time."""
        return await closed_loop(self.spend, wallets, callers=self.callers, seconds=seconds)

    async def faults(self, accepted: int) -> list[str]:
        """Every acknowledged spend must be a transfer."""
        return await asyncio.to_thread(missing, self._product_url, self._keys, accepted)

    async def close(self) -> None:
        """Give its connections back."""
        await self._group_commit.close()


class OursBatchWay:
    """The posting function with 128 requests in a round trip."""

    name = f"Tallybook, batch of {BATCH}"
    callers = BATCH * IN_FLIGHT
    remark = f"the posting function alone; {IN_FLIGHT} in flight"

    def __init__(self, db: Database, product_url: str) -> None:
        """Spend through the service's own pool."""
        self._db = db
        self._product_url = product_url
        self._numbers = itertools.count(1)

    async def _post(self, wallets: Sequence[int]) -> list[Answer | BillingError]:
        one = Credits.whole(1)
        batch = [
            recipes.spend(wallet, one, app_id=0, key=f"batch-{next(self._numbers)}") for wallet in wallets
        ]
        async with self._db.transaction(patient=True) as tx:
            return await ledger.post(tx, now(), batch, wait=True)

    async def measure(self, wallets: Sequence[int], seconds: float) -> Slice:
        """Post batches of spends at full speed; a spend's latency is that of its batch."""
        taken = Slice()
        began = time.perf_counter_ns()
        deadline = began + int(seconds * NANOSECONDS)

        async def line() -> None:
            pick = random.Random()
            while (sent := time.perf_counter_ns()) < deadline:
                answers = await self._post(pick.choices(wallets, k=BATCH))
                accepted = sum(isinstance(answer, Answer) for answer in answers)
                taken.add(sent, accepted, BATCH - accepted)

        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(line())
        taken.elapsed_ns = time.perf_counter_ns() - began
        return taken

    async def faults(self, accepted: int) -> list[str]:
        """Every acknowledged spend must be a transfer."""
        return await asyncio.to_thread(missing, self._product_url, "batch-", accepted)

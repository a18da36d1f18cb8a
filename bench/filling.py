"""A ledger of many wallets and many transfers, made as fast as the product's own functions let us.

Users and wallets are born in bulk, by the function that opens each wallet; credits and spends are posted in batches.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Iterator, Sequence

from bench.ways import ours
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.requests import Answer, Posting
from tallybook.domain.money import Credits
from tallybook.postgres import ledger
from tallybook.postgres.pool import Database

BATCH = 2_000
IN_FLIGHT = 3
_BORN_AT_ONCE = 20_000
_FUNDED = Credits.whole(1_000_000)
_ONE = Credits.whole(1)

Progress = Callable[[int], None]
"""Told how many more are done."""


async def add_wallets(db: Database, product_url: str, count: int, progress: Progress) -> list[int]:
    """Wallets of new users, each with a million credits."""
    opened: list[int] = []
    while len(opened) < count:
        users = ours.open_users(product_url, min(_BORN_AT_ONCE, count - len(opened)))
        born = ours.born_wallets(product_url, users)
        grants = [recipes.adjustment(wallet, _FUNDED, app_id=0, key="fund") for wallet in born]
        await _post_all(db, iter(_batches(grants)), progress)
        opened += born
    return opened


async def add_spends(db: Database, wallets: Sequence[int], count: int, progress: Progress) -> None:
    """Spends of one credit from wallets picked at random."""
    numbers = itertools.count(1)
    pick = random.Random()

    def batch(size: int) -> list[Posting]:
        return [
            recipes.spend(wallet, _ONE, app_id=0, key=f"fill-{next(numbers)}")
            for wallet in pick.choices(wallets, k=size)
        ]

    sizes = [BATCH] * (count // BATCH) + ([count % BATCH] if count % BATCH else [])
    await _post_all(db, map(batch, sizes), progress)


def _batches(postings: Sequence[Posting]) -> list[Sequence[Posting]]:
    return [postings[at : at + BATCH] for at in range(0, len(postings), BATCH)]


async def _post_all(db: Database, batches: Iterator[Sequence[Posting]], progress: Progress) -> None:
    """Post all batches, a few at a time; none may be refused."""

    async def line() -> None:
        for batch in batches:
            async with db.transaction(patient=True) as tx:
                answers = await ledger.post(tx, ours.now(), batch, wait=True)
            refused = [answer for answer in answers if not isinstance(answer, Answer)]
            assert not refused, refused[:3]
            progress(len(batch))

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(line())

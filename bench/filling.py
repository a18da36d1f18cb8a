"""A ledger of many wallets and many transfers, made as fast as the product's own functions let us.

Users and wallets are born in bulk, by the function that opens each wallet; credits and spends are posted in batches.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import secrets
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
        batches = iter([grants[at : at + BATCH] for at in range(0, len(grants), BATCH)])
        await _post_all(db, [batches] * IN_FLIGHT, progress)
        opened += born
    return opened


async def add_spends(db: Database, wallets: Sequence[int], count: int, progress: Progress) -> None:
    """Spends of one credit from wallets picked at random."""
    numbers = itertools.count(1)
    pick = random.Random()
    run = secrets.token_hex(4)

    def batches(own: Sequence[int], share: int) -> Iterator[list[Posting]]:
        for done in range(0, share, BATCH):
            chosen = pick.choices(own, k=min(BATCH, share - done))
            yield [recipes.spend(w, _ONE, app_id=0, key=f"fill-{run}-{next(numbers)}") for w in chosen]

    # Each line has wallets of its own: none waits for another.
    shares = [len(range(line, count, IN_FLIGHT)) for line in range(IN_FLIGHT)]
    lines = [batches(wallets[line::IN_FLIGHT], share) for line, share in enumerate(shares)]
    await _post_all(db, lines, progress)


async def _post_all(db: Database, lines: Sequence[Iterator[Sequence[Posting]]], progress: Progress) -> None:
    """Post all batches, those of each line one after another; none may be refused."""

    async def post(batches: Iterator[Sequence[Posting]]) -> None:
        for batch in batches:
            async with db.transaction(patient=True) as tx:
                answers = await ledger.post(tx, ours.now(), batch, wait=True)
            refused = [answer for answer in answers if not isinstance(answer, Answer)]
            assert not refused, refused[:3]
            progress(len(batch))

    async with asyncio.TaskGroup() as group:
        for line in lines:
            group.create_task(post(line))

"""Random lives, whose events come twice, in any order, late or never: what is left is the credits of the money kept.

The lives of an ordinary run are always the same few; with ``TALLYBOOK_LIVES`` so many new ones are lived. Each shop has
``LIVES_OF_A_SHOP`` of them, one after the other. A failure is told as a story, with the number of the life:
``TALLYBOOK_LIFE`` has that one lived again, and no other.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
import structlog
from databases import TestDatabase
from sandbox.process import Running

from payments.desk import OPERATOR, Till, open_till
from payments.lives.at_stripe import AtStripe
from payments.lives.checking import end
from payments.lives.life import Life, begin
from payments.lives.money_kept import Prices
from payments.lives.steps import ACTS, Plot, plot
from payments.subscriber import START
from tallybook.usecases import catalog
from tallybook.usecases.reconciling import runs
from tallybook.worker.reconciling import reconcile

ONE = int(os.environ.get("TALLYBOOK_LIFE", "0"))
WANTED = int(os.environ.get("TALLYBOOK_LIVES", "0"))
LIVES = 1 if ONE else WANTED or 10
SECONDS_A_LIFE = 120
LIVES_OF_A_SHOP = 20
SHOPS = -(-LIVES // LIVES_OF_A_SHOP)


class Shop:
    """A till at which one customer after the other lives, each when the one before is done."""

    def __init__(self, database: TestDatabase, sandbox: Running) -> None:
        self.database = database
        self.prices = Prices.of(AtStripe(sandbox))
        self.now = START
        self.tally: Counter[str] = Counter()
        self.runner = asyncio.Runner()
        self.open = AsyncExitStack()
        self.till = self.runner.run(self._opened(sandbox))

    async def _opened(self, sandbox: Running) -> Till:
        till = await self.open.enter_async_context(open_till(self.database, sandbox))
        await catalog.push(till.ctx, OPERATOR, dry_run=False, progress=lambda _: None)
        # From here on the reconciler knows where it ended.
        begun = till.but(clock=lambda: START)
        await reconcile(begun.ctx, await runs.request(begun.ctx, OPERATOR, applies=True))
        return till

    def close(self) -> None:
        """Close the till."""
        self.runner.run(self.open.aclose())
        self.runner.close()

    def live(self, number: int) -> None:
        """Let a customer live the life of a number, and see what is left."""
        dice = random.Random(number)  # noqa: S311 - to be repeated
        drawn = plot(dice)
        life = begin(self.till, self.prices, self.now, dice=dice, nightly=drawn.nightly)
        try:
            self.runner.run(self._lived(life, drawn))
        except BaseException as failure:
            story = "\n".join([f"The life of TALLYBOOK_LIFE={number}:", *life.story, f"then: {life.doing}"])
            print(f"{failure!r}\n{story}")
            failure.add_note(story)
            raise
        finally:
            self.now = (life.now + timedelta(days=2)).replace(minute=0, second=0, microsecond=0)
            self.tally += life.tally + life.mail.tally

    async def _lived(self, life: Life, drawn: Plot) -> None:
        for step in drawn.steps:
            life.doing = step.what
            done = await ACTS[step.what][1](life, step.which, step.much)
            life.happened(done)
            life.tally[step.what] += done is not None
        life.doing = "the end"
        await end(life, last=drawn.last)


@pytest.fixture
def a_shop(database: TestDatabase, fresh_sandbox: Running) -> Iterator[Shop]:
    """A shop of its own."""
    # Thousands of events are nothing to read line by line.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        shop = Shop(database, fresh_sandbox)
        yield shop
        shop.close()
    finally:
        structlog.reset_defaults()


@pytest.mark.timeout(SECONDS_A_LIFE * LIVES_OF_A_SHOP)
@pytest.mark.parametrize("number", range(SHOPS))
def test_what_is_left_of_a_life_is_the_credits_of_the_money_kept(a_shop: Shop, number: int) -> None:
    lives = min(LIVES_OF_A_SHOP, LIVES - number * LIVES_OF_A_SHOP)

    for turn in range(lives):
        # Failures are not made smaller: a life takes seconds, and its story says what happened.
        a_shop.live(ONE or (secrets.randbelow(2**32) if WANTED else turn + 1))

    print(f"{lives} lives: {dict(a_shop.tally)}")

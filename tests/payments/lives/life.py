"""One customer with a Stripe clock of their own, and what is to be seen of them at Stripe and in our books."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from payments.desk import OPERATOR, Till, add_user
from payments.lives.at_stripe import AtStripe, Json
from payments.lives.delivering import Mail
from payments.lives.money_kept import Kept, Prices, kept
from tallybook.domain.errors import BillingError
from tallybook.domain.ids import LedgerId
from tallybook.domain.payments.reconciling import Run
from tallybook.usecases.reconciling import runs
from tallybook.worker.reconciling import reconcile

NO_GRACE = timedelta(seconds=-5)
"""What was made this very second is compared, too."""


@dataclass(slots=True)
class Life:
    """What a life knows of itself: time, mail, what it spent and holds; and its story, for who reads a failure."""

    till: Till
    stripe: AtStripe
    prices: Prices
    mail: Mail
    born: datetime
    now: datetime
    customer: str
    clock_id: str
    nightly: bool
    spent: int = 0
    holds: list[LedgerId] = field(default_factory=list)
    asked: int = 0
    doing: str = ""
    story: list[str] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)

    def key(self) -> str:
        """A key of its own for each request."""
        self.asked += 1
        return f"life-{self.till.user_id}-{self.asked}"

    def happened(self, what: str | None) -> None:
        """Write down what a step did; None is what was not possible."""
        if what is not None:
            self.story.append(f"{self.now:%Y-%m-%d %H:%M} {what}")

    def charges(self) -> list[Json]:
        """What was charged, oldest first."""
        every = self.stripe.every("charges", customer=self.customer)
        return [charge for charge in every if charge["status"] == "succeeded"]

    def subscription(self) -> Json | None:
        """The subscription that has not ended, as Stripe has it."""
        every = self.stripe.every("subscriptions", customer=self.customer, status="all")
        ended = ("canceled", "incomplete_expired")
        return next((one for one in reversed(every) if one["status"] not in ended), None)

    def money_kept(self) -> Kept:
        """What was paid for, by what Stripe says right now."""
        return kept(self.stripe, self.prices, self.customer)

    def balance(self) -> tuple[int, int, int]:
        """Micro-credits of the wallet: available, held, debt."""
        rows = self.till.ask(
            "SELECT available_micro, held_micro, debt_micro FROM tallybook.wallets WHERE owner_user_id = %s",
            self.till.user_id,
        )
        [(available, held, debt)] = rows or [(0, 0, 0)]
        return int(available), int(held), int(debt)

    def pass_time(self, span: timedelta) -> None:
        """Let time pass at Stripe, and then here."""
        to = (self.now + span).replace(microsecond=0)
        self.stripe.advance(self.clock_id, int(to.timestamp()))
        self.now = to

    async def reconcile(self, *, applies: bool = True, since: datetime | None = None) -> Run:
        """Compare Stripe with the books; by default mend what differs."""
        asked = await runs.request(self.till.ctx, OPERATOR, applies=applies, since=since)
        return await reconcile(self.till.ctx, asked, grace=NO_GRACE)

    async def settle_all(self) -> None:
        """Have everything worked off that came, also what has to wait for another try."""
        await self.mail.work_off()
        while rows := self.mail.waiting():
            assert all(row[2] != "dead" for row in rows), rows
            due = rows[0][0]
            assert isinstance(due, datetime)
            self.now = max(self.now, due) + timedelta(seconds=1)
            await self.mail.work_off()


def begin(till: Till, prices: Prices, at: datetime, *, dice: random.Random, nightly: bool) -> Life:
    """A new customer, whose life begins at a moment of a clock of their own."""
    stripe = prices.stripe
    email = f"{at:%Y-%m-%d-%H}@example.com"
    clock = stripe.post("test_helpers/test_clocks", frozen_time=int(at.timestamp()))
    assert clock is not None
    customer = stripe.post("customers", test_clock=clock["id"], email=email)
    assert customer is not None
    user_id = add_user(till.database, email)
    till.ask(
        "INSERT INTO tallybook.stripe_customers (user_id, intent_id, stripe_customer_id, created_at, updated_at)"
        " VALUES (%s, gen_random_uuid(), %s, now(), now())",
        user_id,
        customer["id"],
    )
    theirs = till.but()
    theirs.user_id = user_id
    life = Life(
        till=theirs,
        stripe=stripe,
        prices=prices,
        mail=Mail(theirs, stripe, dice),
        born=at,
        now=at,
        customer=customer["id"],
        clock_id=clock["id"],
        nightly=nightly,
    )
    theirs.ctx = replace(till.ctx, clock=lambda: life.now)
    return life


def word(refusal: BillingError) -> str:
    """How a refusal stands in a story."""
    return f"was refused: {refusal.code}"

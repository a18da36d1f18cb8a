"""Delivers Stripe's events as badly as Stripe may: twice, in any order, much later, or never."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field

from payments.desk import OPERATOR, Till, signed
from payments.lives.at_stripe import AtStripe, Json
from tallybook.domain.payments.inbox import Selection
from tallybook.usecases import events, intake
from tallybook.worker.main import work_off

COPIES = (0, 0, 1, 1, 1, 2, 3)
"""How often an event is delivered; of two in seven nobody ever hears."""


@dataclass(slots=True)
class Mail:
    """The events of one customer on their way, and the dice that say what becomes of them."""

    till: Till
    stripe: AtStripe
    dice: random.Random
    newest: str = ""
    bag: list[Json] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """What happened before is none of this customer's business."""
        page = self.stripe.get("events", limit=1)["data"]
        self.newest = page[0]["id"] if page else ""

    def collect(self) -> None:
        """Take what happened since the last time, each event as often as the dice say."""
        fresh = self.stripe.since("events", self.newest)
        for event in fresh:
            self.newest = event["id"]
            self.seen.append(event["id"])
            copies = self.dice.choice(COPIES)
            self.tally["events"] += 1
            self.tally["dropped"] += copies == 0
            self.bag += [event] * copies

    async def deliver(self, percent: int) -> None:
        """Deliver a part of what is on its way, in any order; the rest stays for later."""
        self.collect()
        self.dice.shuffle(self.bag)
        for _ in range(-(-len(self.bag) * percent // 100)):
            event = self.bag.pop()
            raw = json.dumps(event).encode()
            # Signed by the time in which the customer lives.
            signature = signed(raw, at=self.till.ctx.clock())
            await intake.receive(self.till.ctx, path="stripe", raw=raw, signature=signature)
            self.tally["deliveries"] += 1
            if not self.dice.randrange(3):
                await self.work_off()
        await self.work_off()

    async def work_off(self) -> None:
        """Have what came worked off, by one worker or by some at once."""
        workers = self.dice.choice((1, 1, 2, 3))
        await asyncio.gather(*(work_off(self.till.ctx) for _ in range(workers)))

    async def replay_some(self) -> None:
        """Have some events worked on again that are settled long since."""
        stored = self.till.ask(
            "SELECT event_id FROM tallybook.stripe_events WHERE event_id = ANY(%s) ORDER BY event_id",
            self.seen,
        )
        chosen = self.dice.sample(stored, min(len(stored), 10))
        if chosen:
            which = Selection(event_ids=tuple(event_id for [event_id] in chosen))
            await events.replay(self.till.ctx, OPERATOR, which)
        await self.work_off()

    def waiting(self) -> list[tuple[object, ...]]:
        """What was not worked off: when it is due, its type, attempts and what went wrong."""
        return self.till.ask(
            "SELECT next_attempt_at, type, status, attempts, last_error FROM tallybook.stripe_events"
            " WHERE status NOT IN ('done', 'ignored') ORDER BY next_attempt_at DESC"
        )

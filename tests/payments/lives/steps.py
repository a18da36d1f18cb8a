"""What may happen in a life, and how often: from here lives are drawn, each from its number."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from payments.lives import money_acts as money
from payments.lives import plan_acts as plan
from payments.lives.life import Life

Act = Callable[[Life, int, int], Awaitable[str | None]]


async def mail_comes(life: Life, _: int, much: int) -> str | None:
    """A part of the events that are on their way arrives."""
    await life.mail.deliver(much)
    return f"mail: {much} %, {len(life.mail.bag)} still on their way"


ACTS: dict[str, tuple[int, Act]] = {
    "buy": (4, money.buy),
    "settle debit": (2, money.settle_debit),
    "come back": (1, money.come_back),
    "spend": (4, money.spend),
    "hold": (2, money.hold),
    "refund": (5, money.refund),
    "settle refund": (3, money.settle_refund),
    "dispute": (3, money.dispute),
    "end dispute": (4, money.end_dispute),
    "time": (7, plan.time_passes),
    "subscribe": (4, plan.subscribe),
    "change": (3, plan.change_plan),
    "change at dashboard": (3, plan.change_at_dashboard),
    "coupon": (1, plan.coupon),
    "break card": (2, plan.break_card),
    "recover": (3, plan.recover),
    "cancel": (1, plan.cancel),
    "stay": (1, plan.stay),
    "pause": (1, plan.pause),
    "mail": (7, mail_comes),
    "reconcile": (1, plan.reconciler_runs),
}
"""Each act with its weight."""

BEGINNINGS = ("buy", "subscribe", "subscribe")
STEPS = (12, 26)


class Step(NamedTuple):
    """One thing that happens; ``which`` and ``much`` choose among what is possible then."""

    what: str
    which: int
    much: int


class Plot(NamedTuple):
    """A life before it is lived.

    ``nightly`` is whether the reconciler runs whenever time passes, or in the end only, for the whole life; ``last`` is
    how much of the mail that is left arrives before it does.
    """

    steps: list[Step]
    nightly: bool
    last: int


def plot(dice: random.Random) -> Plot:
    """A life, drawn."""
    weights = [weight for weight, _ in ACTS.values()]
    kinds = [dice.choice(BEGINNINGS), *dice.choices(list(ACTS), weights, k=dice.randint(*STEPS))]
    steps = [Step(what, dice.randrange(12), dice.randint(1, 100)) for what in kinds]
    return Plot(steps, dice.choice((True, False)), dice.choice((0, 50, 100)))

"""What may happen in a life, and how often: Hypothesis draws lives from here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from hypothesis import strategies as st

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
    "break card": (2, plan.break_card),
    "recover": (3, plan.recover),
    "cancel": (1, plan.cancel),
    "stay": (1, plan.stay),
    "pause": (1, plan.pause),
    "mail": (7, mail_comes),
    "reconcile": (1, plan.reconciler_runs),
}
"""Each act with its weight."""


class Step(NamedTuple):
    """One thing that happens; ``which`` and ``much`` choose among what is possible then."""

    what: str
    which: int
    much: int


class Plot(NamedTuple):
    """A life before it is lived.

    ``dice`` decide what becomes of each event; ``nightly`` is whether the reconciler runs whenever time passes, or only
    at the end, for the whole life; ``last`` is how much of the mail that is left arrives before it does.
    """

    steps: list[Step]
    dice: int
    nightly: bool
    last: int


_WHICH = st.integers(0, 11)
_MUCH = st.integers(1, 100)
_BEGINNINGS = st.builds(Step, st.sampled_from(["buy", "subscribe", "subscribe"]), _WHICH, _MUCH)
_STEPS = st.builds(
    Step, st.sampled_from([name for name, (weight, _) in ACTS.items() for _ in range(weight)]), _WHICH, _MUCH
)
PLOTS = st.builds(
    Plot,
    st.tuples(_BEGINNINGS, st.lists(_STEPS, min_size=8, max_size=22)).map(
        lambda parts: [parts[0], *parts[1]]
    ),
    st.integers(0, 2**32 - 1),
    st.booleans(),
    st.sampled_from([0, 50, 100]),
)

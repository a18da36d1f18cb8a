"""Random histories, alerts and passes: what is announced is what the pure model says, however the passes fell."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from alerts.desk import OPERATOR, Desk, burn_rate, low_balance, spend_threshold
from alerts.model import crossings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallybook.domain.alerts.alerts import Alert, AlertTerms, Span
from tallybook.domain.errors import HoldSettledError, InsufficientCreditsError
from tallybook.domain.ids import LedgerId
from tallybook.usecases import alerts

EXAMPLES = int(os.environ.get("TALLYBOOK_ALERT_EXAMPLES", "40"))
AMOUNTS = st.integers(1, 40)
# Around the slots and windows: a minute, an hour, 24 minutes, a day, and on into the next month.
GAPS = st.sampled_from((0, 0, 1, 59, 61, 600, 1440, 3480, 3541, 3600, 20_000, 84_961, 86_400, 700_000))
LOW = st.builds(low_balance, st.integers(5, 60), st.integers(0, 20))
BURN = st.builds(
    burn_rate, st.integers(20, 90), st.sampled_from((Span.HOUR, Span.DAY)), st.sampled_from((1, 50, 80, 100))
)
BUDGET = st.builds(
    spend_threshold,
    st.integers(10, 120),
    st.sampled_from((Span.DAY, Span.MONTH)),
    st.sampled_from(((50, 80, 100), (1,), (10, 90, 300))),
)
MOVES = st.tuples(
    st.sampled_from(("grant", "spend", "spend", "spend", "hold", "capture", "give_back", "clawback")),
    AMOUNTS,
    GAPS,
)
PASSES = st.tuples(st.just("pass"), st.integers(1, 5), st.just(0))
BEGINNINGS = st.tuples(st.sampled_from(("own", "default")), st.one_of(LOW, BURN, BUDGET), st.just(1))
# Many at once on one wallet, so that passes must cut.
BURSTS = st.tuples(st.just("burst"), st.integers(2, 12), st.just(0))
STEPS = st.builds(
    lambda first, begun, rest: [*first, *begun, *rest],
    st.lists(st.one_of(MOVES, PASSES), max_size=8),
    st.tuples(*(st.tuples(st.just("own"), terms, st.just(1)) for terms in (LOW, BURN, BUDGET))),
    st.lists(
        st.one_of(MOVES, MOVES, MOVES, MOVES, PASSES, PASSES, BEGINNINGS, BURSTS), min_size=20, max_size=60
    ),
)
Step = tuple[str, int | AlertTerms, int]


class History:
    """One example: a wallet, what happens to it, and the alerts that began meanwhile."""

    def __init__(self, desk: Desk, wallet: int) -> None:
        self.desk = desk
        self.wallet = wallet
        self.holds: list[tuple[LedgerId, int]] = []
        self.begun: list[tuple[Alert, int, bool]] = []

    async def step(self, name: str, value: int | AlertTerms, gap: int) -> None:
        self.desk.clock.now += timedelta(seconds=gap)
        if isinstance(value, AlertTerms):
            await self._begin(value, own=name == "own")
            return
        steps: dict[str, Callable[[int], Awaitable[object]]] = {
            "grant": lambda credits: self.desk.grant(self.wallet, credits),
            "spend": lambda credits: self.desk.spend(self.wallet, credits),
            "give_back": lambda credits: self.desk.give_back(self.wallet, credits),
            "hold": self._hold,
            "capture": self._capture,
            "clawback": lambda credits: self.desk.claw_back(self.wallet, credits),
            "burst": self._burst,
            "pass": lambda size: alerts.evaluate(self.desk.ctx, wallets=size, transfers=size),
        }
        # A hold may have settled itself meanwhile.
        with contextlib.suppress(InsufficientCreditsError, HoldSettledError):
            await steps[name](value)

    async def _begin(self, terms: AlertTerms, *, own: bool) -> None:
        history = self.desk.history(self.wallet)
        made = await self.desk.set_alert(self.wallet if own else None, terms)
        self.begun.append((made, len(history), own))
        # What moves in the same instant as a default begins was there before it: so let time pass.
        self.desk.clock.now += timedelta(seconds=1)

    async def _hold(self, credits: int) -> None:
        self.holds.append((await self.desk.hold(self.wallet, credits), credits))

    async def _capture(self, credits: int) -> None:
        if self.holds:
            hold, held = self.holds.pop()
            await self.desk.capture(hold, min(credits, held))

    async def _burst(self, times: int) -> None:
        for credits in range(1, times):
            await self.desk.spend(self.wallet, 1)
            await self.desk.give_back(self.wallet, 1 + credits % 2)


@pytest.mark.timeout(600)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    print_blob=True,
)
@given(steps=STEPS)
async def test_announcements_are_those_of_the_model_however_the_passes_fall(
    desk: Desk, steps: list[Step]
) -> None:
    history = History(desk, await desk.a_wallet(credits=200))

    for step in steps:
        await history.step(*step)
    await desk.look()

    lines = desk.history(history.wallet)
    for alert, begin, own in history.begun:
        expected = crossings(alert.terms, lines, begin=begin, own=own)
        assert desk.crossed(history.wallet, alert) == expected, (alert.terms, begin, own)
        await alerts.end(desk.ctx, OPERATOR, alert.alert_id)

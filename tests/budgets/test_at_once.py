"""Many callers at once on one path of budgets: no limit is ever passed, and nobody waits for each other in a ring."""

from __future__ import annotations

import asyncio

from budgets.treasury import Treasury

from tallybook.domain.errors import BudgetExceededError
from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger.requests import Answer
from tallybook.domain.money import MICRO
from tallybook.usecases import budgets


async def test_sixty_four_callers_on_one_path_never_pass_a_limit(treasury: Treasury) -> None:
    team = await treasury.budget(40)
    member = await treasury.budget(30, parent=team)
    runs = [await treasury.budget(12, parent=member) for _ in range(4)]
    # From every place of the path, in every order, spends and holds.
    places = [team, member, *runs]

    async def ask(number: int) -> Answer | LedgerId:
        place = places[number % len(places)]
        return await (treasury.hold(1, place) if number % 3 == 0 else treasury.spend(1, place))

    answers = await asyncio.wait_for(
        asyncio.gather(*(ask(number) for number in range(64)), return_exceptions=True), timeout=60
    )

    through = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert {type(answer) for answer in answers} <= {Answer, LedgerId, BudgetExceededError}
    assert len(through) == 40
    assert sum(await treasury.used(team)) == 40
    assert sum(await treasury.used(member)) <= 30
    assert [sum(await treasury.used(run)) <= 12 for run in runs] == [True] * 4
    assert await treasury.available() == 60


async def test_limits_that_change_while_callers_spend_hold_from_then_on(treasury: Treasury) -> None:
    team = await treasury.budget(80)
    run = await treasury.budget(None, parent=team)

    async def ask(number: int) -> object:
        if number % 8 == 7:
            limit = 10 * MICRO if number > 32 else 50 * MICRO
            return await budgets.limit(treasury.ctx, treasury.owner, team.id, limit)
        if number % 8 == 3:
            return await treasury.budget(None, parent=team)
        return await treasury.spend(1, run)

    answers = await asyncio.wait_for(
        asyncio.gather(*(ask(number) for number in range(64)), return_exceptions=True), timeout=60
    )
    faults = [a for a in answers if isinstance(a, BaseException) and not isinstance(a, BudgetExceededError)]
    spent = sum(isinstance(answer, Answer) for answer in answers)

    assert faults == []
    assert await treasury.used(team) == await treasury.used(run) == (spent, 0)
    assert await treasury.available() == 100 - spent


async def test_sixty_four_callers_of_a_capped_app_get_what_the_cap_allows(treasury: Treasury) -> None:
    cap = await treasury.cap(20)

    answers = await asyncio.wait_for(
        asyncio.gather(*(treasury.spend(1) for _ in range(64)), return_exceptions=True), timeout=60
    )

    assert sum(isinstance(answer, Answer) for answer in answers) == 20
    assert sum(isinstance(answer, BudgetExceededError) for answer in answers) == 44
    assert await treasury.used(cap) == (20, 0)

"""Each limit on the path holds: for spends, for holds, in each period, and for apps unasked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from budgets.treasury import Treasury, server_of

from tallybook.domain.errors import BudgetExceededError, InsufficientCreditsError
from tallybook.domain.identity.callers import Caller
from tallybook.domain.ledger.budgets import Period
from tallybook.domain.ledger.requests import HoldPolicy
from tallybook.domain.money import MICRO
from tallybook.usecases import budgets


@pytest.mark.parametrize("tight", [0, 1, 2])
async def test_each_limit_on_the_path_holds(treasury: Treasury, tight: int) -> None:
    limits = [10 if place == tight else 50 for place in range(3)]
    team = await treasury.budget(limits[0])
    member = await treasury.budget(limits[1], parent=team)
    run = await treasury.budget(limits[2], parent=member)
    path = [team, member, run]

    await treasury.spend(6, run)
    with pytest.raises(BudgetExceededError) as refused:
        await treasury.spend(5, run)
    await treasury.spend(4, run)

    assert refused.value.facts == {
        "budget": path[tight].id.wire("bud"),
        "limit_micro": 10 * MICRO,
        "used_micro": 6 * MICRO,
        "requested_micro": 5 * MICRO,
        "period_ends_at": None,
    }
    assert [await treasury.used(one) for one in path] == [(10, 0)] * 3
    assert await treasury.available() == 90


async def test_what_is_spent_beside_or_above_a_budget_does_not_count_at_it(treasury: Treasury) -> None:
    team = await treasury.budget(30)
    member, other = await treasury.budget(10, parent=team), await treasury.budget(10, parent=team)

    await treasury.spend(10, other)
    await treasury.spend(10, team)
    await treasury.spend(50)

    assert [await treasury.used(one) for one in (team, member, other)] == [(20, 0), (0, 0), (10, 0)]
    await treasury.spend(10, member)
    with pytest.raises(BudgetExceededError) as refused:
        await treasury.spend(1, team)
    assert refused.value.facts["budget"] == team.id.wire("bud")


async def test_a_refusal_stands_under_its_key_and_a_budget_is_part_of_the_terms(treasury: Treasury) -> None:
    small = await treasury.budget(1)

    with pytest.raises(BudgetExceededError):
        await treasury.spend(5, small, key="job")
    await budgets.limit(treasury.ctx, treasury.owner, small.id, None)
    with pytest.raises(BudgetExceededError):
        await treasury.spend(5, small, key="job")
    await treasury.spend(5, small, key="job again")

    assert await treasury.used(small) == (5, 0)


async def test_a_hold_reserves_a_capture_spends_and_a_release_frees(treasury: Treasury) -> None:
    team = await treasury.budget(20)
    run = await treasury.budget(None, parent=team)

    first = await treasury.hold(12, run)
    assert [await treasury.used(one) for one in (team, run)] == [(0, 12)] * 2
    with pytest.raises(BudgetExceededError):
        await treasury.hold(9, run)
    with pytest.raises(BudgetExceededError):
        await treasury.spend(9, team)

    await treasury.capture(first, 2, final=False)
    assert [await treasury.used(one) for one in (team, run)] == [(2, 10)] * 2
    await treasury.capture(first, 3)
    assert [await treasury.used(one) for one in (team, run)] == [(5, 0)] * 2

    second = await treasury.hold(15, run)
    await treasury.release(second)
    assert [await treasury.used(one) for one in (team, run)] == [(5, 0)] * 2
    await treasury.spend(15, run)


@pytest.mark.parametrize(
    ("policy", "used"), [(HoldPolicy.RELEASE, (0, 0)), (HoldPolicy.CAPTURE_MAXIMUM, (8, 0))]
)
async def test_a_hold_that_is_left_behind_frees_or_spends(
    treasury: Treasury, policy: HoldPolicy, used: tuple[int, int]
) -> None:
    team = await treasury.budget(10)
    await treasury.hold(8, team, on_expiry=policy)

    treasury.clock.advance(hours=1)
    await treasury.spend(1)

    assert await treasury.used(team) == used


@pytest.mark.parametrize(
    ("period", "next_begins"),
    [
        (Period.DAY, datetime(2026, 11, 22, tzinfo=UTC)),
        (Period.WEEK, datetime(2026, 11, 23, tzinfo=UTC)),
        (Period.MONTH, datetime(2026, 12, 1, tzinfo=UTC)),
    ],
)
async def test_a_new_period_begins_at_zero_by_the_utc_calendar(
    treasury: Treasury, period: Period, next_begins: datetime
) -> None:
    budget = await treasury.budget(10, period=period)
    await treasury.spend(10, budget)
    treasury.clock.now = next_begins - timedelta(microseconds=1)

    with pytest.raises(BudgetExceededError) as refused:
        await treasury.spend(1, budget)
    treasury.clock.now = next_begins

    assert refused.value.facts["period_ends_at"] == next_begins.strftime("%Y-%m-%dT%H:%M:%SZ")
    shown = await budgets.get(treasury.ctx, treasury.owner, budget.id)
    assert shown.spent_micro == 0
    assert shown.period_ends_at is not None
    assert shown.period_ends_at > next_begins
    await treasury.spend(10, budget)
    assert (await treasury.used(budget))[0] == 10


async def test_what_is_reserved_goes_over_into_the_next_period(treasury: Treasury) -> None:
    budget = await treasury.budget(10, period=Period.DAY)
    treasury.clock.now = datetime(2026, 11, 21, 23, 59, tzinfo=UTC)
    held = await treasury.hold(8, budget)

    treasury.clock.advance(minutes=2)

    with pytest.raises(BudgetExceededError):
        await treasury.spend(3, budget)
    await treasury.capture(held, 8)
    assert await treasury.used(budget) == (8, 0)


async def test_a_budget_without_a_period_never_begins_anew(treasury: Treasury) -> None:
    budget = await treasury.budget(10)
    await treasury.spend(10, budget)

    treasury.clock.advance(days=500)

    with pytest.raises(BudgetExceededError):
        await treasury.spend(1, budget)


async def test_a_cap_applies_to_its_app_unasked_and_to_no_other(treasury: Treasury) -> None:
    cap = await treasury.cap(10)
    other = server_of(await treasury.another_app())

    await treasury.spend(4)
    await treasury.hold(4)
    with pytest.raises(BudgetExceededError) as refused:
        await treasury.spend(3)
    with pytest.raises(BudgetExceededError):
        await treasury.hold(3)
    in_app = Caller(user_id=treasury.user_id, app_id=treasury.app.app_id)
    with pytest.raises(BudgetExceededError):
        await treasury.spend(3, caller=in_app)
    await treasury.spend(30, caller=other)
    await treasury.spend(30, caller=treasury.owner)

    assert refused.value.facts["budget"] == cap.id.wire("bud")
    assert refused.value.facts["period_ends_at"] == "2026-12-01T00:00:00Z"
    assert await treasury.used(cap) == (4, 4)


async def test_a_cap_and_a_named_budget_both_hold(treasury: Treasury) -> None:
    cap, team = await treasury.cap(10), await treasury.budget(20)

    await treasury.spend(6, team)
    with pytest.raises(BudgetExceededError) as refused:
        await treasury.spend(6, team)
    await treasury.spend(14, team, caller=treasury.owner)

    assert refused.value.facts["budget"] == cap.id.wire("bud")
    assert [await treasury.used(one) for one in (cap, team)] == [(6, 0), (20, 0)]


async def test_a_lifted_cap_counts_on_and_the_next_month_begins_at_zero(treasury: Treasury) -> None:
    cap = await treasury.cap(10)
    await treasury.spend(10)

    lifted = await treasury.cap(None)
    await treasury.spend(10)
    again = await treasury.cap(25)
    with pytest.raises(BudgetExceededError):
        await treasury.spend(6)
    treasury.clock.advance(days=10)
    await treasury.spend(25)

    assert cap.id == lifted.id == again.id
    assert [one.terms.limit_micro for one in await budgets.caps(treasury.ctx, treasury.owner)] == [25 * MICRO]


async def test_a_lower_limit_lets_nothing_more_through_and_takes_nothing_back(treasury: Treasury) -> None:
    budget = await treasury.budget(10)
    await treasury.spend(8, budget)

    await budgets.limit(treasury.ctx, treasury.owner, budget.id, 5 * MICRO)
    with pytest.raises(BudgetExceededError):
        await treasury.spend(1, budget)
    await budgets.limit(treasury.ctx, treasury.owner, budget.id, 9 * MICRO)
    await treasury.spend(1, budget)

    assert await treasury.used(budget) == (9, 0)


async def test_a_budget_is_no_money_of_its_own(treasury: Treasury) -> None:
    budget = await treasury.budget(1000)

    with pytest.raises(InsufficientCreditsError):
        await treasury.spend(101, budget)

    assert await treasury.used(budget) == (0, 0)

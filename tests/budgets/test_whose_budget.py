"""Who keeps, sees and names which budget: owners, the members of an organisation, apps, admins."""

from __future__ import annotations

import pytest
from budgets.treasury import OPERATOR, PASSWORD, Treasury, server_of

from tallybook.domain.errors import (
    AdminRequiredError,
    AuthenticationRequiredError,
    BudgetExceededError,
    BudgetNotFoundError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    WalletNotFoundError,
)
from tallybook.domain.identity.callers import Caller
from tallybook.domain.identity.organisations import MemberRole
from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger.budgets import DEPTH_MAX, BudgetTerms
from tallybook.domain.money import MICRO, Credits
from tallybook.usecases import budgets, organisations, users, wallets

TERMS = BudgetTerms(name="a budget", limit_micro=5 * MICRO)


async def a_stranger(treasury: Treasury, name: str = "bob") -> Caller:
    user = await users.create_user(treasury.ctx, f"{name}@example.com", PASSWORD)
    return Caller(user_id=user.user_id)


async def test_a_budget_is_out_of_a_strangers_sight(treasury: Treasury) -> None:
    ctx, mine = treasury.ctx, await treasury.budget(10)
    stranger = await a_stranger(treasury)
    there = budgets.Place(wallet_id=treasury.wallet_id)

    for refused in (
        budgets.get(ctx, stranger, mine.id),
        budgets.get(ctx, stranger, LedgerId(99, 1)),
        budgets.limit(ctx, stranger, mine.id, None),
        budgets.add(ctx, stranger, budgets.Place(parent=mine.id), TERMS),
        wallets.spend(ctx, stranger, credits=Credits.whole(1), key=None, budget=mine.id),
    ):
        with pytest.raises(BudgetNotFoundError):
            await refused
    with pytest.raises(WalletNotFoundError):
        await budgets.add(ctx, stranger, there, TERMS)
    with pytest.raises(WalletNotFoundError):
        await budgets.page(ctx, stranger, there)
    with pytest.raises(PermissionDeniedError):
        await budgets.page(ctx, stranger, budgets.Place(user_id=treasury.user_id))


async def test_an_app_lives_under_the_owners_budget_and_cannot_lift_it(treasury: Treasury) -> None:
    of_owner, cap = await treasury.budget(10), await treasury.cap(50)
    of_app = await treasury.budget(None, parent=of_owner, caller=treasury.server)

    for one in (of_owner, cap):
        assert (await budgets.get(treasury.ctx, treasury.server, one.id)).id == one.id
        with pytest.raises(PermissionDeniedError):
            await budgets.limit(treasury.ctx, treasury.server, one.id, None)
    await budgets.limit(treasury.ctx, treasury.server, of_app.id, 5 * MICRO)
    await treasury.spend(5, of_app)
    with pytest.raises(BudgetExceededError):
        await treasury.spend(1, of_app)
    await budgets.limit(treasury.ctx, treasury.owner, of_app.id, 0)

    assert await treasury.used(of_owner) == (5, 0)


async def test_an_apps_budgets_are_out_of_other_apps_sight_and_reach(treasury: Treasury) -> None:
    ctx, cap = treasury.ctx, await treasury.cap(50)
    of_app, of_owner = await treasury.budget(10, caller=treasury.server), await treasury.budget(10)
    other = server_of(await treasury.another_app())
    place = budgets.Place(wallet_id=treasury.wallet_id)

    for one in (of_app, cap):
        with pytest.raises(BudgetNotFoundError):
            await budgets.get(ctx, other, one.id)
        with pytest.raises(BudgetNotFoundError):
            await budgets.limit(ctx, other, one.id, 1)
        with pytest.raises(BudgetNotFoundError):
            await treasury.spend(1, one, caller=other)
    with pytest.raises(BudgetNotFoundError):
        await treasury.budget(1, parent=of_app, caller=other)
    seen = {
        who: [one.id for one in await budgets.page(ctx, caller, place)]
        for who, caller in {"app": treasury.server, "other": other, "owner": treasury.owner}.items()
    }

    assert seen["other"] == [of_owner.id]
    assert seen["app"] == seen["owner"] == [cap.id, of_app.id, of_owner.id]
    assert await treasury.used(of_app) == await treasury.used(cap) == (0, 0)


async def test_of_an_organisation_members_see_and_owners_change(treasury: Treasury) -> None:
    ctx, member = treasury.ctx, await a_stranger(treasury)
    founded = await organisations.found(ctx, OPERATOR, name="Engines", owner_user_id=treasury.user_id)
    number = founded.organisation.organisation_id
    assert member.user_id is not None
    await organisations.put_member(ctx, OPERATOR, number, user_id=member.user_id, role=MemberRole.MEMBER)
    place = budgets.Place(wallet_id=founded.organisation.wallet_id)
    made = await budgets.add(ctx, treasury.owner, place, TERMS)

    assert (await budgets.get(ctx, member, made.budget.id)).id == made.budget.id
    assert len(await budgets.page(ctx, member, place)) == 1
    with pytest.raises(AdminRequiredError):
        await budgets.limit(ctx, member, made.budget.id, None)
    with pytest.raises(AdminRequiredError):
        await budgets.add(ctx, member, place, TERMS)
    with pytest.raises(BudgetNotFoundError):
        await budgets.get(ctx, await a_stranger(treasury, "carol"), made.budget.id)


async def test_a_session_of_an_app_sets_neither_budgets_nor_caps(treasury: Treasury) -> None:
    in_app = Caller(user_id=treasury.user_id, app_id=treasury.app.app_id)
    made = await treasury.budget(10)

    for refused in (
        budgets.add(treasury.ctx, in_app, budgets.Place(), TERMS),
        budgets.limit(treasury.ctx, in_app, made.id, None),
        budgets.set_cap(treasury.ctx, in_app, treasury.app.public_id, None),
    ):
        with pytest.raises(PermissionDeniedError):
            await refused
    with pytest.raises(AuthenticationRequiredError):
        await budgets.set_cap(treasury.ctx, treasury.server, treasury.app.public_id, None)


async def test_there_is_no_cap_on_the_house_or_on_an_app_that_is_not_there(treasury: Treasury) -> None:
    for app_id in ("app_house", "app_nothing"):
        with pytest.raises(NotFoundError):
            await budgets.set_cap(treasury.ctx, treasury.owner, app_id, 5)


async def test_budgets_are_at_most_sixteen_deep_and_all_of_them_count(treasury: Treasury) -> None:
    path = [await treasury.budget(10)]
    while len(path) < DEPTH_MAX:
        path.append(await treasury.budget(None, parent=path[-1]))

    with pytest.raises(InvalidRequestError) as refused:
        await treasury.budget(None, parent=path[-1])
    await treasury.spend(10, path[-1])
    with pytest.raises(BudgetExceededError):
        await treasury.spend(1, path[-1])

    assert refused.value.facts == {"depth_max": 16}
    assert [await treasury.used(one) for one in path] == [(10, 0)] * 16


async def test_a_parent_must_be_of_the_same_wallet_and_no_cap(treasury: Treasury) -> None:
    mine, cap = await treasury.budget(10), await treasury.cap(10)
    stranger = await a_stranger(treasury)
    theirs = await wallets.wallet_of_user(treasury.ctx, OPERATOR, stranger.user_id)

    with pytest.raises(BudgetNotFoundError):
        place = budgets.Place(wallet_id=theirs.wallet_id, parent=mine.id)
        await budgets.add(treasury.ctx, OPERATOR, place, TERMS)
    with pytest.raises(BudgetNotFoundError):
        await budgets.add(
            treasury.ctx, OPERATOR, budgets.Place(parent=LedgerId(treasury.wallet_id, 999)), TERMS
        )
    with pytest.raises(InvalidRequestError):
        await treasury.budget(1, parent=cap)
    below = await budgets.add(treasury.ctx, treasury.owner, budgets.Place(parent=mine.id), TERMS)

    assert below.budget.id.wallet_id == treasury.wallet_id
    assert below.budget.parent == mine.id


async def test_one_key_makes_one_budget(treasury: Treasury) -> None:
    ctx, place = treasury.ctx, budgets.Place()

    first = await budgets.add(ctx, treasury.owner, place, TERMS, key="once")
    again = await budgets.add(ctx, treasury.owner, place, TERMS, key="once")
    with pytest.raises(IdempotencyKeyReusedError):
        await budgets.add(ctx, treasury.owner, place, BudgetTerms(name="another"), key="once")

    assert (first.replayed, again.replayed) == (False, True)
    assert first.budget.id == again.budget.id
    assert len(await budgets.page(ctx, treasury.owner, place)) == 1

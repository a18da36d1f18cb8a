"""Organisations own wallets: their members use them, nobody else does."""

from __future__ import annotations

import asyncio

import pytest

from tallybook.domain.errors import (
    AdminRequiredError,
    IdempotencyKeyReusedError,
    NotFoundError,
    UserNotFoundError,
    WalletNotFoundError,
)
from tallybook.domain.identity.callers import Caller
from tallybook.domain.identity.organisations import MemberRole
from tallybook.domain.money import Credits
from tallybook.usecases import organisations, users, wallets
from tallybook.usecases.context import Context

OPERATOR = Caller(is_admin=True)


async def a_user(ctx: Context, name: str) -> Caller:
    made = await users.create_user(ctx, f"{name}@example.com", "a good long password")
    return Caller(user_id=made.user_id)


def number(caller: Caller) -> int:
    assert caller.user_id is not None
    return caller.user_id


async def test_members_spend_from_the_organisations_wallet_and_strangers_do_not_see_it(ctx: Context) -> None:
    owner, member, stranger = [await a_user(ctx, name) for name in ("owner", "member", "stranger")]
    made = await organisations.found(ctx, OPERATOR, name="Engines", owner_user_id=number(owner))
    org, wallet = made.organisation.organisation_id, made.organisation.wallet_id
    await wallets.grant(ctx, OPERATOR, wallet_id=wallet, credits=Credits.whole(10), key="g")

    await organisations.put_member(ctx, owner, org, user_id=number(member), role=MemberRole.MEMBER)
    answer = await wallets.spend(ctx, member, wallet_id=wallet, credits=Credits.whole(4), key="s")

    assert answer.available_micro == 6_000_000
    with pytest.raises(WalletNotFoundError):
        await wallets.spend(ctx, stranger, wallet_id=wallet, credits=Credits.whole(1), key="s2")
    with pytest.raises(NotFoundError):
        await organisations.get(ctx, stranger, org)
    own = await wallets.wallet_of_user(ctx, member, None)
    assert own.wallet_id != wallet


async def test_a_member_does_not_say_who_belongs(ctx: Context) -> None:
    owner, member = await a_user(ctx, "owner"), await a_user(ctx, "member")
    made = await organisations.found(ctx, OPERATOR, name="Engines", owner_user_id=number(owner))
    org = made.organisation.organisation_id
    await organisations.put_member(ctx, owner, org, user_id=number(member), role=MemberRole.MEMBER)

    with pytest.raises(AdminRequiredError):
        await organisations.put_member(ctx, member, org, user_id=number(member), role=MemberRole.OWNER)

    seen = await organisations.get(ctx, member, org)
    assert [m.role for m in seen.members] == [MemberRole.OWNER, MemberRole.MEMBER]


async def test_a_session_of_an_app_does_not_speak_for_the_organisation(ctx: Context) -> None:
    owner = await a_user(ctx, "owner")
    made = await organisations.found(ctx, OPERATOR, name="Engines", owner_user_id=number(owner))

    with pytest.raises(NotFoundError):
        await organisations.get(
            ctx, Caller(user_id=owner.user_id, app_id=7), made.organisation.organisation_id
        )


async def test_only_an_admin_makes_one_and_its_owner_must_exist(ctx: Context) -> None:
    someone = await a_user(ctx, "someone")

    with pytest.raises(AdminRequiredError):
        await organisations.found(ctx, someone, name="Mine", owner_user_id=number(someone))
    with pytest.raises(UserNotFoundError):
        await organisations.found(ctx, OPERATOR, name="Nobody's", owner_user_id=99)

    assert await organisations.page(ctx, OPERATOR) == []


async def test_one_key_makes_one_organisation(ctx: Context) -> None:
    owner = number(await a_user(ctx, "owner"))

    made = await asyncio.gather(
        *(organisations.found(ctx, OPERATOR, name="Engines", owner_user_id=owner, key="k") for _ in range(10))
    )

    assert len({one.organisation for one in made}) == 1
    assert sum(not one.replayed for one in made) == 1
    with pytest.raises(IdempotencyKeyReusedError):
        await organisations.found(ctx, OPERATOR, name="Others", owner_user_id=owner, key="k")

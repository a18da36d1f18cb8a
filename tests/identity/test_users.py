"""Users: sign-up, retries of it, switching off, passwords, and the audit log."""

from __future__ import annotations

import asyncio

import pytest
from identity.people import EMAIL, PASSWORD, enter

from tallybook.domain.errors import (
    AdminRequiredError,
    EmailInvalidError,
    EmailTakenError,
    IdempotencyKeyReusedError,
    InvalidCredentialsError,
    PasswordUnfitError,
    PermissionDeniedError,
    UserNotFoundError,
)
from tallybook.domain.identity.callers import Caller
from tallybook.domain.identity.people import Role, User
from tallybook.postgres import audit
from tallybook.usecases import sessions, users
from tallybook.usecases.apps import Registered
from tallybook.usecases.context import Context


async def test_a_new_user_is_an_active_customer_and_can_sign_in(ctx: Context) -> None:
    made = await users.sign_up(ctx, email=EMAIL, password=PASSWORD, key="k-1")

    assert (made.user.email, made.user.role, made.user.is_active) == (EMAIL, Role.CUSTOMER, True)
    assert (await enter(ctx)).who.user == made.user


async def test_an_email_has_one_account_whatever_its_capitals(ctx: Context, user: User) -> None:
    with pytest.raises(EmailTakenError):
        await users.sign_up(ctx, email=EMAIL.upper(), password=PASSWORD, key="k-1")


async def test_of_sign_ups_at_once_for_one_email_one_wins(ctx: Context) -> None:
    answers = await asyncio.gather(
        *(users.sign_up(ctx, email=EMAIL, password=PASSWORD, key=f"k-{n}") for n in range(6)),
        return_exceptions=True,
    )

    refused = [answer for answer in answers if isinstance(answer, EmailTakenError)]
    assert len(refused) == 5


async def test_a_retried_sign_up_makes_one_user(ctx: Context) -> None:
    answers = await asyncio.gather(
        *(users.sign_up(ctx, email=EMAIL, password=PASSWORD, key="k-1") for _ in range(6))
    )

    assert len({answer.user.user_id for answer in answers}) == 1
    assert [answer.replayed for answer in answers].count(False) == 1


async def test_a_key_that_comes_back_with_another_password_is_refused(ctx: Context) -> None:
    await users.sign_up(ctx, email=EMAIL, password=PASSWORD, key="k-1")

    with pytest.raises(IdempotencyKeyReusedError):
        await users.sign_up(ctx, email=EMAIL, password="another of the tests", key="k-1")


async def test_what_one_person_chose_as_a_key_is_not_in_anothers_way(ctx: Context) -> None:
    first = await users.sign_up(ctx, email=EMAIL, password=PASSWORD, key="signup")

    second = await users.sign_up(ctx, email="b@example.com", password=PASSWORD, key="signup")

    assert not second.replayed
    assert second.user.user_id != first.user.user_id


@pytest.mark.parametrize(
    "email", ["", "ada", "@example.com", "ada@", "a b@example.com", "a@b@c", "a\n@b.c", "a" * 320 + "@b.c"]
)
async def test_what_is_no_email_is_refused(ctx: Context, email: str) -> None:
    with pytest.raises(EmailInvalidError):
        await users.sign_up(ctx, email=email, password=PASSWORD)


@pytest.mark.parametrize(
    "password", ["", "1234567", "x" * 257, "password123", "PASSWORD123", "qwertyuiop", EMAIL.lower()]
)
async def test_an_unfit_password_is_refused(ctx: Context, password: str) -> None:
    with pytest.raises(PasswordUnfitError):
        await users.sign_up(ctx, email=EMAIL, password=password)


async def test_a_long_password_is_not_cut(ctx: Context) -> None:
    await users.sign_up(ctx, email=EMAIL, password="ä" * 255 + "a")

    with pytest.raises(InvalidCredentialsError):
        await sessions.sign_in(ctx, email=EMAIL, password="ä" * 255 + "b")
    with pytest.raises(InvalidCredentialsError):
        await sessions.sign_in(ctx, email=EMAIL, password="ä" * 255 + "a" * 2)
    await sessions.sign_in(ctx, email=EMAIL, password="ä" * 255 + "a")


async def test_the_operator_may_let_the_demo_password_pass(ctx: Context) -> None:
    made = await users.create_user(ctx, EMAIL, "password123", allow_common=True)

    assert (await sessions.sign_in(ctx, email=EMAIL, password="password123")).who.user == made


async def test_only_an_admin_sees_and_changes_others(
    ctx: Context, user: User, admin: User, registered: Registered
) -> None:
    opened = await enter(ctx)
    caller = await sessions.authenticate(ctx, bearer=opened.tokens.session_token, api_key=None)
    key = await sessions.authenticate(ctx, bearer=registered.issued.secret, api_key=None)

    with pytest.raises(PermissionDeniedError):
        await users.get(ctx, caller, admin.user_id)
    for stranger in (caller, key):
        with pytest.raises(AdminRequiredError):
            await users.page(ctx, stranger)
        with pytest.raises(AdminRequiredError):
            await users.find(ctx, stranger, admin.email)
        with pytest.raises(AdminRequiredError):
            await users.set_active(ctx, stranger, admin.user_id, is_active=False)
        with pytest.raises(AdminRequiredError):
            await users.create_user(ctx, "c@example.com", PASSWORD, Role.ADMIN, caller=stranger)
    assert await users.get(ctx, caller, None) == user
    assert await users.get(ctx, key, user.user_id) == user


async def test_an_operator_finds_pages_and_misses_users(
    ctx: Context, user: User, admin: User, operator: Caller
) -> None:
    assert await users.find(ctx, operator, EMAIL.lower()) == user
    assert await users.page(ctx, operator, limit=1) == [user]
    assert await users.page(ctx, operator, after=user.user_id) == [admin]
    with pytest.raises(UserNotFoundError):
        await users.get(ctx, operator, 4711)
    with pytest.raises(UserNotFoundError):
        await users.set_active(ctx, operator, 4711, is_active=False)


async def test_a_session_of_an_app_cannot_take_the_account_over(
    ctx: Context, user: User, registered: Registered
) -> None:
    opened = await enter(ctx, registered)
    caller = await sessions.authenticate(ctx, bearer=opened.tokens.session_token, api_key=None)

    with pytest.raises(PermissionDeniedError):
        await users.change_password(
            ctx, caller, old_password=PASSWORD, new_password="another one of the tests"
        )


async def test_a_changed_password_needs_the_old_one(ctx: Context, user: User) -> None:
    opened = await enter(ctx)
    caller = await sessions.authenticate(ctx, bearer=opened.tokens.session_token, api_key=None)

    with pytest.raises(InvalidCredentialsError):
        await users.change_password(
            ctx, caller, old_password="wrong", new_password="another one of the tests"
        )
    with pytest.raises(PasswordUnfitError):
        await users.change_password(ctx, caller, old_password=PASSWORD, new_password="password1")
    await enter(ctx)


async def test_an_operator_resets_a_password_and_all_sessions_end(
    ctx: Context, user: User, operator: Caller
) -> None:
    opened = await enter(ctx)

    await users.reset_password(ctx, operator, user.user_id, new_password="set by the operator")

    with pytest.raises(Exception, match="revoked"):
        await sessions.authenticate(ctx, bearer=opened.tokens.session_token, api_key=None)
    await sessions.sign_in(ctx, email=EMAIL, password="set by the operator")


async def test_every_act_on_a_user_is_written_down_once(ctx: Context, user: User, operator: Caller) -> None:
    for is_active in (False, False, True):
        await users.set_active(ctx, operator, user.user_id, is_active=is_active)

    async with ctx.db.snapshot() as tx:
        entries = await audit.of_subject(tx, ("user", str(user.user_id)))
    assert [(entry.actor_kind, entry.action) for entry in entries] == [
        ("operator", "user.created"),
        ("operator", "user.deactivated"),
        ("operator", "user.activated"),
    ]
    assert EMAIL not in str(entries)

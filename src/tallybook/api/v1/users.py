"""/v1/users: sign up, look up, switch off and on."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field, StrictBool

from tallybook.api.deps import Body, CallerDep, Ctx, IdempotencyKey, Shape, problems
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.domain.identity.people import EMAIL_LENGTH_MAX, User
from tallybook.usecases import users

router = APIRouter(
    prefix="/v1/users",
    tags=["users"],
    route_class=StrictJsonRoute,
    responses=problems(400, 401, 403, 404, 409),
)
PASSWORD_TEXT_MAX = 1024
UserInPath = Annotated[int, Path(ge=1, le=2**53 - 1)]
Email = Annotated[str, Field(max_length=EMAIL_LENGTH_MAX, examples=["user@example.com"])]
Password = Annotated[
    str,
    Field(
        max_length=PASSWORD_TEXT_MAX,
        description="8 to 256 characters, and not one of the most common ones.",
        examples=["correct horse battery staple"],
    ),
]


class SignUpBody(Body):
    """A new account."""

    email: Email
    password: Password


class UserChangeBody(Body):
    """What to change about a user (admin)."""

    is_active: StrictBool


class PasswordBody(Body):
    """One's own new password."""

    old_password: Password
    new_password: Password


class UserShape(Shape):
    """A user."""

    user_id: int = Field(examples=[1])
    email: str = Field(examples=["user@example.com"])
    role: str = Field(examples=["customer"])
    is_active: bool
    created_at: datetime

    @classmethod
    def from_domain(cls, user: User) -> UserShape:
        """Draw a user."""
        return cls(
            user_id=user.user_id,
            email=user.email,
            role=user.role,
            is_active=user.is_active,
            created_at=user.created_at,
        )


class UserPage(Shape):
    """A page of users; ``next_cursor`` goes into ``after``."""

    data: list[UserShape]
    has_more: bool
    next_cursor: int | None = Field(examples=[50])


@router.post("", status_code=201, summary="Sign up")
async def sign_up(ctx: Ctx, key: IdempotencyKey, body: SignUpBody, response: Response) -> UserShape:
    """Make a customer's account. An e-mail that has one is 409 ``email_taken``: sign in instead."""
    made = await users.sign_up(ctx, email=body.email, password=body.password, key=key)
    if made.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return UserShape.from_domain(made.user)


@router.get("", summary="All users (admin)")
async def list_users(
    ctx: Ctx,
    caller: CallerDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    after: Annotated[int, Query(ge=0, le=2**53 - 1)] = 0,
) -> UserPage:
    """Users in the order they came."""
    found = await users.page(ctx, caller, after=after, limit=limit + 1)
    page, more = [UserShape.from_domain(user) for user in found[:limit]], len(found) > limit
    return UserPage(data=page, has_more=more, next_cursor=page[-1].user_id if more else None)


@router.get("/me", summary="The signed-in user")
async def me(ctx: Ctx, caller: CallerDep) -> UserShape:
    """Whom the session token stands for."""
    return UserShape.from_domain(await users.get(ctx, caller, None))


@router.put("/me/password", status_code=204, summary="Change one's password")
async def change_password(ctx: Ctx, caller: CallerDep, body: PasswordBody) -> None:
    """Set a new password; every session ends, so sign in again."""
    await users.change_password(ctx, caller, old_password=body.old_password, new_password=body.new_password)


@router.get("/{user_id}", summary="A user")
async def get_user(ctx: Ctx, caller: CallerDep, user_id: UserInPath) -> UserShape:
    """One user: oneself, or anyone for an admin or an app key with ``read_user_info``."""
    return UserShape.from_domain(await users.get(ctx, caller, user_id))


@router.patch("/{user_id}", summary="Switch a user off or on (admin)")
async def change_user(ctx: Ctx, caller: CallerDep, user_id: UserInPath, body: UserChangeBody) -> UserShape:
    """Switched off, all the user's sessions end at once."""
    changed = await users.set_active(ctx, caller, user_id, is_active=body.is_active)
    return UserShape.from_domain(changed)

"""/api/cross-app/*: one login for all apps, as document 000 names it.

The session token comes in the body, beside the App ID; ``X-API-Key`` is looked at when it comes, and needed when
the app demands it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Response
from pydantic import BeforeValidator, Field

from tallybook.api.deps import (
    Body,
    Ctx,
    Description,
    Metadata,
    OptionalIdempotencyKey,
    ResumeToken,
    SeedCredits,
    ServiceName,
    Shape,
    problems,
)
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.domain.identity.callers import Permission
from tallybook.domain.identity.sessions import SignedIn, Validated
from tallybook.domain.ledger.requests import Note
from tallybook.domain.money import Credits
from tallybook.usecases import sessions, wallets

router = APIRouter(
    prefix="/api/cross-app",
    tags=["cross-app"],
    route_class=StrictJsonRoute,
    responses=problems(400, 401, 402, 403, 404, 409),
)
AppKey = Annotated[
    str | None,
    Header(alias="X-API-Key", description="The app's API key; needed when the app demands it."),
]
AppId = Annotated[str, Field(max_length=64, examples=["app_4dTXqj7WcPzN0uKbY2sE"])]
SessionToken = Annotated[str, Field(max_length=4096)]


def _zero_is_none(value: object) -> object:
    # Asking whether one can pay nothing is a plain question for the balance.
    return None if value == 0 and not isinstance(value, bool) else value


class AuthBody(Body):
    """Who signs in, for which app, and what the app calls them."""

    app_id: AppId
    email: Annotated[str, Field(max_length=320, examples=["user@example.com"])]
    password: Annotated[str, Field(max_length=1024)]
    app_user_id: Annotated[str | None, Field(max_length=255)] = None
    app_metadata: Metadata = None


class TokenBody(Body):
    """A session token and the app it was issued for."""

    session_token: SessionToken
    app_id: AppId


class RefreshBody(Body):
    """The refresh token of the pair that was given last."""

    refresh_token: Annotated[str, Field(max_length=512)]
    app_id: AppId | None = None


class CheckBody(TokenBody):
    """How much the user should be able to pay; nothing asks for the balance only."""

    required_credits: Annotated[
        SeedCredits | None, BeforeValidator(_zero_is_none, json_schema_input_type=int | float | None)
    ] = None


class ConsumeBody(TokenBody):
    """How many credits to take, and for what."""

    credits: SeedCredits
    service: ServiceName = None
    description: Description = None
    metadata: Metadata = None


class CrossAppUser(Shape):
    """The user; the e-mail needs ``read_user_info``, the credits need ``read_credits``."""

    user_id: int = Field(examples=[1])
    email: str | None = Field(examples=["user@example.com"])
    user_type: str = Field(examples=["customer"])
    is_active: bool
    credits: int | float | None = Field(examples=[995])


class CrossApp(Shape):
    """The app that the session was opened for."""

    app_id: str
    name: str


class ValidatedShape(Shape):
    """Whom the token stands for, and what the app may do."""

    valid: Literal[True] = True
    user: CrossAppUser
    permissions: list[Permission]


class AuthShape(Shape):
    """A session: send its token along, refresh it before ``expires_in`` seconds are over."""

    session_token: str
    refresh_token: str
    expires_in: int = Field(examples=[600])
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105
    user: CrossAppUser
    permissions: list[Permission]
    app: CrossApp


class CheckShape(Shape):
    """Whether the user can pay."""

    has_sufficient_credits: bool
    current_balance: int | float = Field(examples=[995])
    required_credits: int | float = Field(examples=[5])
    shortfall: int | float = Field(examples=[0])


class ConsumeShape(Shape):
    """What was taken, and what is left."""

    success: Literal[True] = True
    new_balance: int | float = Field(examples=[990])
    credits_consumed: int | float = Field(examples=[5])
    transaction_id: int


@router.post("/auth", summary="Sign a user in")
async def auth(ctx: Ctx, body: AuthBody, response: Response, api_key: AppKey = None) -> AuthShape:
    """Open a session of a user for an app."""
    opened = await sessions.sign_in(
        ctx,
        email=body.email,
        password=body.password,
        app_public_id=body.app_id,
        api_key=api_key,
        app_user_id=body.app_user_id,
        app_metadata=body.app_metadata,
    )
    response.headers["Cache-Control"] = "no-store"
    return _opened(opened)


@router.post("/refresh", summary="Exchange a refresh token")
async def refresh(ctx: Ctx, body: RefreshBody, response: Response, api_key: AppKey = None) -> AuthShape:
    """A new pair of tokens. A refresh token that comes again after 30 seconds ends the session."""
    opened = await sessions.refresh(
        ctx, refresh_token=body.refresh_token, app_public_id=body.app_id, api_key=api_key
    )
    response.headers["Cache-Control"] = "no-store"
    return _opened(opened)


@router.post("/validate-token", summary="Whom a session token stands for")
async def validate_token(ctx: Ctx, body: TokenBody, api_key: AppKey = None) -> ValidatedShape:
    """200 while the token counts; else 401 with the reason in ``code``."""
    found = await sessions.validate(
        ctx, session_token=body.session_token, app_public_id=body.app_id, api_key=api_key
    )
    return ValidatedShape(user=_user(found), permissions=sorted(found.app.granted))


@router.post("/credits/check", summary="Whether a user can pay")
async def check_credits(ctx: Ctx, body: CheckBody, api_key: AppKey = None) -> CheckShape:
    """The balance, and whether it covers ``required_credits``; nothing is set aside."""
    caller = await sessions.caller_in_app(
        ctx, session_token=body.session_token, app_public_id=body.app_id, api_key=api_key
    )
    found = await wallets.check(ctx, caller, caller.user_id, body.required_credits)
    return CheckShape(
        has_sufficient_credits=found.sufficient,
        current_balance=found.available.number(),
        required_credits=found.required.number(),
        shortfall=found.shortfall.number(),
    )


@router.post("/credits/consume", summary="Take credits of a user")
async def consume_credits(
    ctx: Ctx,
    body: ConsumeBody,
    key: OptionalIdempotencyKey,
    api_key: AppKey = None,
    resume: ResumeToken = None,
) -> ConsumeShape:
    """Spend at once; 402 with the shortfall when there is not enough, and nothing is taken."""
    caller = await sessions.caller_in_app(
        ctx, session_token=body.session_token, app_public_id=body.app_id, api_key=api_key
    )
    note = Note(description=body.description, service=body.service, metadata=body.metadata)
    answer = await wallets.spend(
        ctx, caller, credits=body.credits, key=key, user_id=caller.user_id, note=note, resume=resume
    )
    return ConsumeShape(
        new_balance=Credits(answer.available_micro).number(),
        credits_consumed=Credits(answer.amount_micro).number(),
        transaction_id=answer.transfer.integer(),
    )


def _user(found: Validated) -> CrossAppUser:
    may = found.app.granted
    return CrossAppUser(
        user_id=found.user.user_id,
        email=found.user.email if Permission.READ_USER_INFO in may else None,
        user_type=found.user.role,
        is_active=found.user.is_active,
        credits=found.credits.number() if Permission.READ_CREDITS in may else None,
    )


def _opened(opened: SignedIn) -> AuthShape:
    app = opened.who.app
    return AuthShape(
        session_token=opened.tokens.session_token,
        refresh_token=opened.tokens.refresh_token,
        expires_in=opened.tokens.expires_in,
        user=_user(opened.who),
        permissions=sorted(app.granted),
        app=CrossApp(app_id=app.public_id, name=app.name),
    )

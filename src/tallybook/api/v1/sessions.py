"""/v1/sessions: sign in, refresh, sign out."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Response
from pydantic import Field

from tallybook.api.deps import Body, CallerDep, Ctx, IdempotencyKey, Shape, problems
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.api.v1.users import Email, Password, UserShape
from tallybook.domain.identity.sessions import SignedIn
from tallybook.usecases import sessions

router = APIRouter(
    prefix="/v1/sessions",
    tags=["sessions"],
    route_class=StrictJsonRoute,
    responses=problems(400, 401, 403),
)
AppKey = Annotated[
    str | None,
    Header(alias="X-API-Key", description="The app's API key; needed when the app demands it."),
]
AppId = Annotated[str, Field(max_length=64, examples=["app_4dTXqj7WcPzN0uKbY2sE"])]


class SignInBody(Body):
    """Who signs in, and for which app; without ``app_id`` to Tallybook itself."""

    email: Email
    password: Password
    app_id: AppId | None = None


class RefreshBody(Body):
    """The refresh token of the pair that was given last."""

    refresh_token: Annotated[str, Field(max_length=512)]


class SessionShape(Shape):
    """A session: keep both tokens secret, send the session token as ``Authorization: Bearer``."""

    session_token: str
    refresh_token: str = Field(description="Good for one refresh; it then gives way to the next.")
    expires_in: int = Field(description="Seconds that the session token lives.", examples=[600])
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105
    user: UserShape

    @classmethod
    def from_domain(cls, opened: SignedIn) -> SessionShape:
        """Draw a session."""
        return cls(
            session_token=opened.tokens.session_token,
            refresh_token=opened.tokens.refresh_token,
            expires_in=opened.tokens.expires_in,
            user=UserShape.from_domain(opened.who.user),
        )


@router.post("", status_code=201, summary="Sign in")
async def sign_in(
    ctx: Ctx, key: IdempotencyKey, body: SignInBody, response: Response, api_key: AppKey = None
) -> SessionShape:
    """Open a session. An unknown e-mail and a wrong password get the same answer."""
    opened = await sessions.sign_in(
        ctx,
        email=body.email,
        password=body.password,
        app_public_id=body.app_id,
        api_key=api_key,
        key=key,
    )
    _mark(response, opened)
    return SessionShape.from_domain(opened)


@router.post("/refresh", summary="Refresh")
async def refresh(ctx: Ctx, body: RefreshBody, response: Response, api_key: AppKey = None) -> SessionShape:
    """A new pair of tokens; repeated within 30 seconds it gives the same refresh token again.

    Later, a used refresh token means that two hold it: the session ends for both. The token is its own
    idempotency key.
    """
    opened = await sessions.refresh(ctx, refresh_token=body.refresh_token, api_key=api_key)
    _mark(response, opened)
    return SessionShape.from_domain(opened)


@router.delete("/current", status_code=204, summary="Sign out")
async def sign_out(ctx: Ctx, caller: CallerDep) -> None:
    """End the session whose token is sent; it is refused from the next request on."""
    await sessions.sign_out(ctx, caller)


def _mark(response: Response, opened: SignedIn) -> None:
    response.headers["Cache-Control"] = "no-store"
    if opened.replayed:
        response.headers["Idempotent-Replayed"] = "true"

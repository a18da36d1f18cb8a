"""The requests of users and sessions: method, path, body, answer, said once (see ``requests.py``)."""

from __future__ import annotations

from credit_sdk.answers import Session, User
from credit_sdk.requests import Request, given, new_key, nothing, one


def create_user(email: str, password: str, *, idempotency_key: str | None = None) -> Request[User]:
    """Sign a person up.

    Raises:
        EmailTakenError: the address has an account. PasswordUnfitError: choose another password.
    """
    return Request(
        method="POST",
        path="/v1/users",
        read=one(User),
        body={"email": email, "password": password},
        key=idempotency_key or new_key(),
    )


def user(user_id: int) -> Request[User]:
    """A user: oneself, or anyone for an admin or an app's key with ``read_user_info``.

    Raises:
        UserNotFoundError: there is none.
    """
    return Request(method="GET", path=f"/v1/users/{user_id:d}", read=one(User))


def me() -> Request[User]:
    """The user whose session token the client holds."""
    return Request(method="GET", path="/v1/users/me", read=one(User))


def create_session(
    email: str, password: str, *, app_id: str | None = None, idempotency_key: str | None = None
) -> Request[Session]:
    """Sign in; with ``app_id`` (``app_…``) for that app.

    Raises:
        InvalidCredentialsError: wrong address or password. UserInactiveError: the account is
            switched off.
    """
    return Request(
        method="POST",
        path="/v1/sessions",
        read=one(Session),
        body={"email": email, "password": password, **given(app_id=app_id)},
        key=idempotency_key or new_key(),
    )


def refresh_session(refresh_token: str) -> Request[Session]:
    """A new session token and the next refresh token; the old refresh token is used up.

    The token is its own idempotency key: the service answers a repeat within half a minute like the first.

    Raises:
        RefreshTokenReusedError: it was used before, so the session was ended.
    """
    return Request(
        method="POST",
        path="/v1/sessions/refresh",
        read=one(Session),
        body={"refresh_token": refresh_token},
    )


def delete_session() -> Request[None]:
    """Sign out: end the session whose token the client holds."""
    return Request(method="DELETE", path="/v1/sessions/current", read=nothing)

"""A hold whose token somebody carries: whether the token counts now, and as whom its carrier calls."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tallybook.domain.errors import (
    AppNotFoundError,
    HoldSettledError,
    TokenExpiredError,
    TokenInvalidError,
    TokenRevokedError,
)
from tallybook.domain.identity.apps import KeyHolder
from tallybook.domain.identity.callers import Caller, HoldToken
from tallybook.domain.ledger.requests import Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """A hold token as it is handed out: ``text`` is what is carried."""

    text: str
    token: HoldToken


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedHold:
    """The hold as it is now, and the app that it belongs to."""

    hold: Hold
    app_public_id: str
    app_is_open: bool

    def caller(self, token: HoldToken, now: datetime) -> Caller:
        """Whoever carries the token, with no permission of the app's.

        Raises:
            TokenExpiredError, TokenRevokedError: its time, or that of the hold, is over.
            AppNotFoundError: the app was switched off.
        """
        assert self.hold.id == token.hold_id, (self.hold.id, token.hold_id)
        if token.expires_at <= now:
            raise TokenExpiredError("The hold token has expired: whoever gave it can make a new one.")
        if self.hold.settled_at is not None or self.hold.expires_at <= now:
            raise TokenRevokedError("The hold of this token is settled, and with it the token.")
        if not self.app_is_open:
            raise AppNotFoundError
        return Caller(
            app_id=self.hold.app_id,
            app_public_id=self.app_public_id,
            permissions=frozenset(),
            hold_token=replace(token, session_user_id=self.hold.session_user_id),
        )


def carrier(
    carried: CarriedHold | None, token: HoldToken, now: datetime, *, beside: KeyHolder | None
) -> Caller:
    """Whoever carries a token that we signed; an API key ``beside`` it must be of the same app, and adds nothing.

    Raises:
        TokenInvalidError: its hold is not there (any more). ApiKeyInvalidError: the key is another app's.
        Else as ``CarriedHold.caller``.
    """
    if carried is None:
        raise TokenInvalidError("The hold of this token does not exist.")
    if beside is not None:
        beside.require_of(carried.hold.app_id)
    return carried.caller(token, now)


def token_until(hold: Hold, now: datetime, lifetime_seconds: int | None) -> datetime:
    """Until when a token of the hold counts: never longer than the hold was to live when the token was made.

    Raises:
        HoldSettledError: the hold is settled, or due to be.
    """
    if hold.settled_at is not None or hold.expires_at <= now:
        raise HoldSettledError
    if lifetime_seconds is None:
        return hold.expires_at
    return min(hold.expires_at, now + timedelta(seconds=lifetime_seconds))

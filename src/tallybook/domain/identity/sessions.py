"""Sessions: when one counts, and what a refresh token that comes late means."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tallybook.domain.errors import TokenExpiredError, TokenRevokedError, UserInactiveError
from tallybook.domain.identity.apps import App
from tallybook.domain.identity.callers import Caller
from tallybook.domain.identity.people import Role, User
from tallybook.domain.money import Credits

REPLAY_GRACE_SECONDS = 30
"""A refresh that is repeated within this time gets the same successor: its first answer was lost, nothing more."""

TOKEN_SECONDS_MAX = 3600
"""The longest life of a session token; a retired signing key verifies at least this long."""


class RevokedReason(StrEnum):
    """Why a session ended before its time."""

    SIGNED_OUT = "signed_out"
    REFRESH_REUSED = "refresh_token_reused"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    USER_DEACTIVATED = "user_deactivated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session with its user and app, as one look at the database shows them."""

    session_id: UUID
    user: User
    sessions_valid_from: datetime
    app: App
    refresh_generation: int
    refreshed_at: datetime
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None

    def is_of(self, user_id: int, audience: str) -> bool:
        """Whether a token that names this session also names its user and its app."""
        return self.user.user_id == user_id and self.app.audience == audience

    def require_live(self, now: datetime) -> None:
        """Refuse a session that does not count now.

        Raises:
            UserInactiveError, TokenRevokedError, TokenExpiredError, AppNotFoundError: each for its reason.
        """
        if not self.user.is_active:
            raise UserInactiveError
        if self.revoked_at is not None or self.created_at < self.sessions_valid_from:
            raise TokenRevokedError
        if self.expires_at <= now:
            raise TokenExpiredError
        self.app.require_open()

    def caller(self) -> Caller:
        """The user, calling through the app that the session was opened for."""
        return Caller(
            app_id=self.app.app_id,
            app_public_id=self.app.public_id,
            user_id=self.user.user_id,
            session_id=str(self.session_id),
            is_admin=self.user.role is Role.ADMIN,
            permissions=self.app.granted,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What a client keeps of its session; ``expires_in`` is the session token's life in seconds."""

    session_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """Who a session token stands for, in which app, and what they can spend now."""

    user: User
    app: App
    credits: Credits


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A session that was opened or refreshed."""

    tokens: Tokens
    who: Validated
    replayed: bool = False


class LateRefresh(StrEnum):
    """What a refresh token means that is not the current one."""

    SAME_SUCCESSOR = "same_successor"
    REUSED = "reused"
    UNKNOWN = "unknown"


def judge_late_refresh(session: Session, generation: int, now: datetime) -> LateRefresh:
    """What it means when a token of ``generation`` did not rotate its session (RFC 9700 section 4.14.2).

    A token ahead of the session was never issued by this database, for example one restored from a backup.
    """
    if generation > session.refresh_generation:
        return LateRefresh.UNKNOWN
    age = (now - session.refreshed_at).total_seconds()
    if generation == session.refresh_generation - 1 and age <= REPLAY_GRACE_SECONDS:
        return LateRefresh.SAME_SUCCESSOR
    return LateRefresh.REUSED

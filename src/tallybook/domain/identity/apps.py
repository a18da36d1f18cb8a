"""Apps and their API keys: what they are, and when they are accepted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, fields, replace
from datetime import datetime

from tallybook.domain.errors import (
    ApiKeyExpiredError,
    ApiKeyInvalidError,
    ApiKeyRequiredError,
    ApiKeyRevokedError,
    AppNotFoundError,
)
from tallybook.domain.identity.callers import HOUSE_APP_ID, Caller, Permission

HOUSE_AUDIENCE = "tallybook"
"""The ``aud`` of a session of the house; an app's is its App ID."""

USE_NOTED_EVERY_SECONDS = 60
"""How exact ``last_used_at`` of a key is: a hot key is not written at every call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """A registered app; ``public_id`` is its App ID."""

    app_id: int
    public_id: str
    name: str
    domain: str
    permissions: frozenset[Permission]
    requires_api_key: bool
    is_active: bool
    database_role: str | None
    created_at: datetime
    updated_at: datetime

    @property
    def is_house(self) -> bool:
        """Whether this is the house itself; it is not switched on or off."""
        return self.app_id == HOUSE_APP_ID

    @property
    def audience(self) -> str:
        """The ``aud`` of the session tokens that were issued for it."""
        return HOUSE_AUDIENCE if self.is_house else self.public_id

    @property
    def granted(self) -> frozenset[Permission]:
        """What sessions of this app may do; the house's own may all, each for its own user."""
        return frozenset(Permission) if self.is_house else self.permissions

    def require_open(self) -> None:
        """Refuse unless the app takes part.

        Raises:
            AppNotFoundError: it was switched off.
        """
        if not (self.is_active or self.is_house):
            raise AppNotFoundError


@dataclass(frozen=True, slots=True, kw_only=True)
class AppChange:
    """What to change about an app; None leaves it as it is."""

    name: str | None = None
    domain: str | None = None
    permissions: Collection[Permission] | None = None
    requires_api_key: bool | None = None
    is_active: bool | None = None

    def applied_to(self, app: App) -> App:
        """The app with the change."""
        wanted = {one.name: getattr(self, one.name) for one in fields(self)}
        given = {name: value for name, value in wanted.items() if value is not None}
        if self.permissions is not None:
            given["permissions"] = frozenset(self.permissions)
        return replace(app, **given)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """An API key of an app as it is listed; the key itself is not stored."""

    api_key_id: int
    app_id: int
    prefix: str
    label: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def require_live(self, now: datetime) -> None:
        """Refuse a key that ended.

        Raises:
            ApiKeyRevokedError: it was revoked. ApiKeyExpiredError: its time is over.
        """
        if self.revoked_at is not None and self.revoked_at <= now:
            raise ApiKeyRevokedError
        if self.expires_at is not None and self.expires_at <= now:
            raise ApiKeyExpiredError

    def is_live(self, now: datetime) -> bool:
        """Whether the key is accepted now, as far as it goes itself."""
        ended = [moment for moment in (self.revoked_at, self.expires_at) if moment is not None]
        return all(now < moment for moment in ended)

    def use_is_due(self, now: datetime) -> bool:
        """Whether ``last_used_at`` is old enough to be written again."""
        last = self.last_used_at
        return last is None or (now - last).total_seconds() >= USE_NOTED_EVERY_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKey:
    """A key that was just made: ``secret`` is the key itself, shown this once."""

    key: ApiKey
    secret: str = field(repr=False)
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyHolder:
    """An accepted API key and the app it belongs to."""

    key: ApiKey
    app: App

    def require_of(self, app_id: int) -> None:
        """Refuse a key that belongs to another app.

        Raises:
            ApiKeyInvalidError: it does.
        """
        if self.app.app_id != app_id:
            raise ApiKeyInvalidError("The API key belongs to another app.")

    def caller(self) -> Caller:
        """The app itself as the caller."""
        return Caller(
            app_id=self.app.app_id,
            app_public_id=self.app.public_id,
            by_key=True,
            permissions=self.app.permissions,
        )


def check_key_of(app: App, holder: KeyHolder | None) -> None:
    """Whether this key, or none, opens the app's cross-app routes.

    Raises:
        ApiKeyRequiredError: the app demands its key. ApiKeyInvalidError: the key is another app's.
    """
    if holder is not None:
        holder.require_of(app.app_id)
    elif app.requires_api_key:
        raise ApiKeyRequiredError

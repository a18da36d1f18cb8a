"""Registered apps, their API keys and their login roles in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime

from tallybook.domain.errors import (
    AppNotFoundError,
    NotFoundError,
    TokenForeignAppError,
)
from tallybook.domain.identity.apps import ApiKey, App, KeyHolder
from tallybook.domain.identity.callers import HOUSE_APP_ID, Permission
from tallybook.postgres.pool import Row, Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("identity")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginPlace:
    """A login role and where it logs in."""

    role: str
    database: str
    host: str
    port: int


async def add_app(
    tx: Transaction,
    now: datetime,
    *,
    public_id: str,
    name: str,
    domain: str,
    permissions: Collection[Permission],
    requires_api_key: bool,
) -> App:
    """Register an app."""
    row = await tx.one(
        _SQL.add_app,
        public_id=public_id,
        name=name,
        domain=domain,
        permissions=sorted(permissions),
        requires_api_key=requires_api_key,
        now=now,
    )
    return app_of(row)


async def apps_after(tx: Transaction, after: int, limit: int) -> list[App]:
    """A page of apps in the order they came."""
    return [app_of(row) for row in await tx.many(_SQL.apps_after, after=after, limit=limit)]


async def app_to_enter(tx: Transaction, public_id: str | None) -> App:
    """The app that a sign-in names, or the house if it names none.

    Raises:
        AppNotFoundError: there is none of this App ID, or it was switched off.
    """
    if public_id is None:
        return app_of(await tx.one(_SQL.app_by_id, app_id=HOUSE_APP_ID))
    return await open_app(tx, public_id)


async def open_app(tx: Transaction, public_id: str) -> App:
    """One app by its App ID, for signing in and validating.

    Raises:
        AppNotFoundError: there is none, or it was switched off.
    """
    row = await tx.maybe(_SQL.app_by_public_id, public_id=public_id)
    if row is None:
        raise AppNotFoundError
    found = app_of(row)
    found.require_open()
    return found


async def require_app_named(tx: Transaction, audience: str, public_id: str) -> None:
    """Refuse a token of this audience unless it is of the app that the request names.

    Raises:
        AppNotFoundError: the request names no app. TokenForeignAppError: it names another.
    """
    if audience != public_id:
        await open_app(tx, public_id)
        raise TokenForeignAppError


async def app(tx: Transaction, public_id: str, *, for_change: bool = False) -> App:
    """One app by its App ID, also one that was switched off, for administration.

    Raises:
        NotFoundError: there is none.
    """
    statement = _SQL.lock_app_for_change if for_change else _SQL.app_by_public_id
    row = await tx.maybe(statement, public_id=public_id)
    if row is None:
        raise NotFoundError("There is no such app.")
    return app_of(row)


async def change_app(tx: Transaction, now: datetime, changed: App) -> App:
    """Store what an app is called and may do now."""
    tx.changes_callers()
    row = await tx.one(
        _SQL.change_app,
        app_id=changed.app_id,
        name=changed.name,
        domain=changed.domain,
        permissions=sorted(changed.permissions),
        requires_api_key=changed.requires_api_key,
        is_active=changed.is_active,
        now=now,
    )
    return app_of(row)


async def add_api_key(
    tx: Transaction,
    now: datetime,
    *,
    app_id: int,
    prefix: str,
    key_hash: bytes,
    label: str,
    expires_at: datetime | None,
) -> ApiKey:
    """Add a key of an app; only its hash is kept."""
    row = await tx.one(
        _SQL.add_api_key,
        app_id=app_id,
        prefix=prefix,
        key_hash=key_hash,
        label=label,
        now=now,
        expires_at=expires_at,
    )
    return _api_key(row)


async def api_keys(tx: Transaction, app_id: int) -> list[ApiKey]:
    """The keys of an app, oldest first."""
    return [_api_key(row) for row in await tx.many(_SQL.api_keys_of_app, app_id=app_id)]


async def api_key(tx: Transaction, *, app_id: int, api_key_id: int) -> ApiKey:
    """One key of an app.

    Raises:
        NotFoundError: the app has no such key.
    """
    row = await tx.maybe(_SQL.api_key, app_id=app_id, api_key_id=api_key_id)
    if row is None:
        raise NotFoundError("The app has no such API key.")
    return _api_key(row)


async def revoke_api_key(tx: Transaction, now: datetime, key: ApiKey) -> ApiKey:
    """End a key at once."""
    tx.changes_callers()
    return _api_key(await tx.one(_SQL.revoke_api_key, api_key_id=key.api_key_id, now=now))


async def end_api_key(tx: Transaction, key: ApiKey, ends_at: datetime) -> None:
    """Let a key expire at this time, if it does not earlier."""
    tx.changes_callers()
    await tx.run(_SQL.end_api_key, api_key_id=key.api_key_id, ends_at=ends_at)


async def note_api_key_use(tx: Transaction, now: datetime, api_key_id: int) -> None:
    """Write down that a key is in use; waits for nobody."""
    await tx.run(_SQL.note_api_key_use, api_key_id=api_key_id, now=now)


async def create_app_login(tx: Transaction, app_id: int, scram_verifier: str) -> LoginPlace:
    """Make the login role of an app for direct SQL, or give it a new password.

    The password itself never comes here, only what PostgreSQL stores of it.
    """
    row = await tx.one(_SQL.create_app_login, app_id=app_id, scram_verifier=scram_verifier)
    return LoginPlace(**dict(row))


async def switch_app_login(tx: Transaction, app_id: int, *, enabled: bool) -> None:
    """Let the app's login role in, or no longer; nothing happens where it has none."""
    await tx.run(_SQL.switch_app_login, app_id=app_id, enabled=enabled)


def app_of(row: Row) -> App:
    """The app in a row that has all columns of ``apps``."""
    return App(
        app_id=row["app_id"],
        public_id=row["public_id"],
        name=row["name"],
        domain=row["domain"],
        permissions=frozenset(Permission(text) for text in row["permissions"]),
        requires_api_key=row["requires_api_key"],
        is_active=row["is_active"],
        database_role=row["database_role"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def key_holder_of(row: Row) -> KeyHolder:
    """The key and its app in a row that has all columns of both; those that both have are ``key_...`` for the key."""
    key = ApiKey(
        api_key_id=row["api_key_id"],
        app_id=row["key_app_id"],
        prefix=row["prefix"],
        label=row["label"],
        created_at=row["key_created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
    )
    return KeyHolder(key=key, app=app_of(row))


def _api_key(row: Row) -> ApiKey:
    return ApiKey(**{field.name: row[field.name] for field in fields(ApiKey)})

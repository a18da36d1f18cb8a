"""Apps: register them with a first API key, change them, and make their login roles for direct SQL."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tallybook.domain.identity.apps import App, AppChange, IssuedKey
from tallybook.domain.identity.callers import SEED_PERMISSIONS, Caller, Permission
from tallybook.postgres import audit, registry, remembered
from tallybook.postgres.pool import Transaction
from tallybook.security import api_keys, scram
from tallybook.security.random_text import random_base62
from tallybook.usecases.context import Context

APP_ID_LENGTH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A new app and its first key."""

    app: App
    issued: IssuedKey


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseLogin:
    """A login role for direct SQL; ``password`` is shown this once."""

    role: str
    password: str = field(repr=False)
    host: str
    port: int
    database: str

    @property
    def url(self) -> str:
        """The connection URL. The password and the role need no escaping."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"postgresql://{self.role}:{self.password}@{host}:{self.port}/{self.database}"


async def register(
    ctx: Context,
    caller: Caller,
    *,
    name: str,
    domain: str = "",
    permissions: Collection[Permission] = SEED_PERMISSIONS,
    requires_api_key: bool = False,
    key: str | None = None,
) -> Registered:
    """Register an app and make its first API key; a retry with the same ``key`` gets the same answer.

    Raises:
        AdminRequiredError: the caller is not an admin.
        IdempotencyKeyReusedError: the key was used for other terms.
    """
    caller.require_admin()
    scope = "apps.register:{}:{}".format(*caller.actor)
    asked = [name, domain, sorted(permissions), requires_api_key]
    terms = ctx.sealer.terms(scope, asked)
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        sealed = None if key is None else await remembered.recall(tx, scope, key, terms)
        if sealed is not None:
            kept = ctx.sealer.open_json(sealed, scope)
            app = await registry.app(tx, kept["app"])
            first = await registry.api_key(tx, app_id=app.app_id, api_key_id=kept["api_key_id"])
            issued = IssuedKey(key=first, secret=kept["secret"], replayed=True)
            return Registered(app=app, issued=issued)
        app = await registry.add_app(
            tx,
            now,
            public_id=f"app_{random_base62(APP_ID_LENGTH)}",
            name=name,
            domain=domain,
            permissions=permissions,
            requires_api_key=requires_api_key,
        )
        made = api_keys.make(livemode=ctx.livemode)
        first = await registry.add_api_key(
            tx,
            now,
            app_id=app.app_id,
            prefix=made.prefix,
            key_hash=made.key_hash,
            label="first key",
            expires_at=None,
        )
        await _record(tx, now, caller, "app.registered", app, after=_visible(app))
        if key is not None:
            kept = {"app": app.public_id, "api_key_id": first.api_key_id, "secret": made.key}
            answer = ctx.sealer.seal_json(kept, scope)
            await remembered.remember(tx, now, scope, key, terms=terms, answer=answer)
    return Registered(app=app, issued=IssuedKey(key=first, secret=made.key))


async def page(ctx: Context, caller: Caller, *, after: int = 0, limit: int = 50) -> list[App]:
    """Up to ``limit`` apps with inner numbers above ``after``, for an admin."""
    caller.require_admin()
    async with ctx.db.snapshot() as tx:
        return await registry.apps_after(tx, after, limit)


async def get(ctx: Context, caller: Caller, public_id: str) -> App:
    """One app, for an admin.

    Raises:
        NotFoundError: there is none.
    """
    caller.require_admin()
    async with ctx.db.snapshot() as tx:
        return await registry.app(tx, public_id)


async def update(ctx: Context, caller: Caller, public_id: str, change: AppChange) -> App:
    """Change an app; switched off, its keys and its users' sessions are refused at once.

    Raises:
        NotFoundError: there is none.
    """
    caller.require_admin()
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        before = await registry.app(tx, public_id, for_change=True)
        wanted = change.applied_to(before)
        if wanted == before:
            return before
        after = await registry.change_app(tx, now, wanted)
        if after.is_active != before.is_active:
            await registry.switch_app_login(tx, after.app_id, enabled=after.is_active)
        await _record(tx, now, caller, "app.changed", after, before=_visible(before), after=_visible(after))
    return after


async def create_database_login(ctx: Context, caller: Caller, public_id: str) -> DatabaseLogin:
    """Make the app's login role for direct SQL, or give it a new password; the old one stops working.

    Raises:
        NotFoundError: there is no such app.
    """
    caller.require_admin()
    secret = scram.make()
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        app = await registry.app(tx, public_id, for_change=True)
        place = await registry.create_app_login(tx, app.app_id, secret.verifier)
        await _record(tx, now, caller, "app.database_login", app, after={"role": place.role})
    return DatabaseLogin(
        role=place.role,
        password=secret.password,
        host=place.host,
        port=place.port,
        database=place.database,
    )


def _visible(app: App) -> dict[str, Any]:
    return {
        "name": app.name,
        "domain": app.domain,
        "permissions": sorted(app.permissions),
        "requires_api_key": app.requires_api_key,
        "is_active": app.is_active,
    }


async def _record(
    tx: Transaction,
    now: datetime,
    caller: Caller,
    action: str,
    app: App,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    subject = ("app", app.public_id)
    await audit.record(tx, now, caller.actor, action, subject, before=before, after=after)

"""API keys of an app: list, add, roll, revoke. Several live at once, so that no app stands still while keys change."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tallybook.domain.errors import InvalidRequestError
from tallybook.domain.identity.apps import ApiKey, App, IssuedKey
from tallybook.domain.identity.callers import Caller
from tallybook.postgres import audit, registry, remembered
from tallybook.postgres.pool import Transaction
from tallybook.security import api_keys
from tallybook.usecases.context import Context

LIVE_KEYS_MAX = 20


async def of_app(ctx: Context, caller: Caller, public_id: str) -> list[ApiKey]:
    """The keys of an app, ended ones too, oldest first.

    Raises:
        NotFoundError: there is no such app.
    """
    caller.require_admin()
    async with ctx.db.snapshot() as tx:
        app = await registry.app(tx, public_id)
        return await registry.api_keys(tx, app.app_id)


async def add(
    ctx: Context,
    caller: Caller,
    public_id: str,
    *,
    label: str = "",
    expires_at: datetime | None = None,
    key: str | None = None,
) -> IssuedKey:
    """Make another key of an app; a retry with the same idempotency ``key`` gets the same one.

    Raises:
        NotFoundError: there is no such app. InvalidRequestError: it expires in the past, or 20 keys live.
        IdempotencyKeyReusedError: the idempotency key was used for other terms.
    """
    caller.require_admin()
    scope = "api_keys.add:{}:{}".format(*caller.actor)
    expiry = None if expires_at is None else expires_at.isoformat()
    terms = ctx.sealer.terms(scope, [public_id, label, expiry])
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        sealed = None if key is None else await remembered.recall(tx, scope, key, terms)
        app = await registry.app(tx, public_id, for_change=sealed is None)
        if sealed is not None:
            kept = ctx.sealer.open_json(sealed, scope)
            made = await registry.api_key(tx, app_id=app.app_id, api_key_id=kept["api_key_id"])
            return IssuedKey(key=made, secret=kept["secret"], replayed=True)
        issued = await _issue(ctx, tx, now, app, label=label, expires_at=expires_at)
        await _record(tx, now, caller, "api_key.added", app, after=_facts(issued.key))
        if key is not None:
            kept = {"api_key_id": issued.key.api_key_id, "secret": issued.secret}
            answer = ctx.sealer.seal_json(kept, scope)
            await remembered.remember(tx, now, scope, key, terms=terms, answer=answer)
    return issued


async def roll(
    ctx: Context, caller: Caller, public_id: str, api_key_id: int, *, old_ends_at: datetime
) -> IssuedKey:
    """Make the successor of a key; the old one works on until ``old_ends_at``.

    Raises:
        NotFoundError: no such app, or it has no such key. InvalidRequestError: the key has ended.
    """
    caller.require_admin()
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        app = await registry.app(tx, public_id, for_change=True)
        old = await registry.api_key(tx, app_id=app.app_id, api_key_id=api_key_id)
        if not old.is_live(now):
            raise InvalidRequestError("This key has ended: make a new one instead.")
        await registry.end_api_key(tx, old, old_ends_at)
        issued = await _issue(ctx, tx, now, app, label=old.label, expires_at=None)
        facts = {**_facts(issued.key), "old_ends_at": old_ends_at.isoformat()}
        await _record(tx, now, caller, "api_key.rolled", app, before=_facts(old), after=facts)
    return issued


async def revoke(ctx: Context, caller: Caller, public_id: str, api_key_id: int) -> ApiKey:
    """End a key: it is refused from the next request on. Ending it again changes nothing.

    Raises:
        NotFoundError: no such app, or it has no such key.
    """
    caller.require_admin()
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        app = await registry.app(tx, public_id, for_change=True)
        before = await registry.api_key(tx, app_id=app.app_id, api_key_id=api_key_id)
        if before.revoked_at is not None:
            return before
        ended = await registry.revoke_api_key(tx, now, before)
        await _record(tx, now, caller, "api_key.revoked", app, after=_facts(ended))
    return ended


async def _issue(
    ctx: Context,
    tx: Transaction,
    now: datetime,
    app: App,
    *,
    label: str,
    expires_at: datetime | None,
) -> IssuedKey:
    if expires_at is not None and expires_at <= now:
        raise InvalidRequestError("expires_at must be in the future.")
    alive = [key for key in await registry.api_keys(tx, app.app_id) if key.is_live(now)]
    if len(alive) >= LIVE_KEYS_MAX:
        raise InvalidRequestError(f"An app has at most {LIVE_KEYS_MAX} live keys: revoke one.")
    made = api_keys.make(livemode=ctx.livemode)
    key = await registry.add_api_key(
        tx,
        now,
        app_id=app.app_id,
        prefix=made.prefix,
        key_hash=made.key_hash,
        label=label,
        expires_at=expires_at,
    )
    return IssuedKey(key=key, secret=made.key)


def _facts(key: ApiKey) -> dict[str, Any]:
    expires_at = None if key.expires_at is None else key.expires_at.isoformat()
    return {
        "api_key_id": key.api_key_id,
        "prefix": key.prefix,
        "label": key.label,
        "expires_at": expires_at,
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

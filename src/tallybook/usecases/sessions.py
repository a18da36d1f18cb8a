"""Sessions: sign in, refresh, sign out, and find out who is calling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from tallybook.domain.errors import (
    ApiKeyInvalidError,
    AuthenticationRequiredError,
    InvalidCredentialsError,
    RefreshTokenReusedError,
    TokenInvalidError,
    UserInactiveError,
)
from tallybook.domain.identity.apps import App, KeyHolder, check_key_of
from tallybook.domain.identity.callers import Caller
from tallybook.domain.identity.people import Login, User, is_email, masked_email
from tallybook.domain.identity.sessions import (
    LateRefresh,
    RevokedReason,
    Session,
    SignedIn,
    Tokens,
    Validated,
    judge_late_refresh,
)
from tallybook.domain.ledger.carried import carrier
from tallybook.postgres import identity, registry, remembered
from tallybook.postgres.pool import Transaction
from tallybook.security import api_keys, hold_tokens, passwords, refresh_tokens
from tallybook.security.tokens import Claims
from tallybook.usecases.context import Context

__all__ = ["SignedIn", "Tokens", "Validated"]
_log = structlog.get_logger("tallybook.identity")
_SCOPE = "sessions.sign_in"


async def sign_in(
    ctx: Context,
    *,
    email: str,
    password: str,
    app_public_id: str | None = None,
    api_key: str | None = None,
    app_user_id: str | None = None,
    app_metadata: Mapping[str, Any] | None = None,
    key: str | None = None,
) -> SignedIn:
    """Open a session for an app, or for the house if none is named; with a ``key`` a retry gets the same one.

    An unknown e-mail and a wrong password get the same answer after the same work.

    Raises:
        InvalidCredentialsError: unknown e-mail or wrong password. UserInactiveError: right, but switched off.
        AppNotFoundError, ApiKeyRequiredError, ApiKeyInvalidError: the app, before the password is looked at.
    """
    holder = await _holder(ctx, api_key)
    async with ctx.db.snapshot() as tx:
        app = await registry.app_to_enter(tx, app_public_id)
        check_key_of(app, holder)
        found = await identity.login(tx, email=email) if is_email(email) else None
    login = await _proved(found, email, password)
    asked = [login.user.user_id, app.app_id, app_user_id, app_metadata]
    terms = ctx.sealer.terms("sign in", asked)
    # Each person has their own keys: what one chose must not be in another's way.
    scope = f"{_SCOPE}:{login.user.user_id}"
    await _renew_keys(ctx)
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        if not await identity.unchanged_since(tx, login):
            raise InvalidCredentialsError
        kept = None if key is None else await remembered.recall(tx, scope, key, terms)
        if kept is not None:
            tokens = Tokens(**ctx.sealer.open_json(kept, scope))
            return SignedIn(tokens=tokens, who=await _who(tx, login.user, app), replayed=True)
        tokens = await _open(ctx, tx, now, login.user, app)
        await identity.note_app_user(
            tx,
            now,
            app_id=app.app_id,
            user_id=login.user.user_id,
            app_user_id=app_user_id,
            metadata=app_metadata,
        )
        if key is not None:
            sealed = ctx.sealer.seal_json(asdict(tokens), scope)
            await remembered.remember(tx, now, scope, key, terms=terms, answer=sealed)
        who = await _who(tx, login.user, app)
    await _rehash(ctx, login, password)
    _log.info("signed in", user_id=login.user.user_id, app=app.public_id)
    return SignedIn(tokens=tokens, who=who)


async def refresh(
    ctx: Context,
    *,
    refresh_token: str,
    app_public_id: str | None = None,
    api_key: str | None = None,
) -> SignedIn:
    """Exchange a refresh token for a new pair. Repeated within 30 s it gives the same successor again.

    Raises:
        RefreshTokenReusedError: used before; whoever holds the session now loses it (RFC 9700 section 4.14.2).
        TokenRevokedError, TokenExpiredError, UserInactiveError, AppNotFoundError: the session ended.
        TokenInvalidError: not a token of ours. TokenForeignAppError: of another app than the one named.
    """
    session_id, generation = refresh_tokens.read(ctx.sealer, refresh_token)
    holder = await _holder(ctx, api_key)
    await _renew_keys(ctx)
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        rotated = await identity.rotate_session(tx, now, session_id, generation)
        session = await identity.session(tx, session_id)
        if session is None:
            raise TokenInvalidError("Invalid refresh token")
        if app_public_id is not None:
            await registry.require_app_named(tx, session.app.audience, app_public_id)
        check_key_of(session.app, holder)
        session.require_live(now)
        late = None if rotated else judge_late_refresh(session, generation, now)
        if late is LateRefresh.UNKNOWN:
            raise TokenInvalidError("Invalid refresh token")
        if late is not LateRefresh.REUSED:
            who = await _who(tx, session.user, session.app)
            ends = session.expires_at
            tokens = _tokens(ctx, who.user, who.app, session_id, generation=generation + 1, expires_at=ends)
            return SignedIn(tokens=tokens, who=who, replayed=not rotated)
        # Raised outside the block: the revocation has to be committed.
        await identity.revoke_session(tx, now, session_id, RevokedReason.REFRESH_REUSED)
    _log.warning("refresh token reused", user_id=session.user.user_id, session_id=str(session_id))
    raise RefreshTokenReusedError


async def sign_out(ctx: Context, caller: Caller) -> None:
    """End the session that calls; its tokens are refused from the next request on.

    Raises:
        AuthenticationRequiredError: the caller is an API key, not a session.
    """
    if caller.session_id is None:
        raise AuthenticationRequiredError("Only a session can be signed out: send its token.")
    async with ctx.db.transaction() as tx:
        await identity.revoke_session(tx, ctx.clock(), UUID(caller.session_id), RevokedReason.SIGNED_OUT)


async def authenticate(ctx: Context, *, bearer: str | None, api_key: str | None) -> Caller:
    """Who is calling: the user of a session token, the app of an API key (in either place), or a hold token's carrier.

    With a token and a key, the token is the caller and the key must be of the same app.

    Raises:
        AuthenticationRequiredError: neither came. Else the reason why a token or a key does not count.
    """
    if bearer is not None and hold_tokens.looks_like_one(bearer):
        token = hold_tokens.read(ctx.sealer, bearer)
        carried = await ctx.fresh.carried_hold.get(token.hold_id)
        return carrier(carried, token, ctx.clock(), beside=await _holder(ctx, api_key))
    if bearer is not None and not api_keys.looks_like_one(bearer):
        holder = await _holder(ctx, api_key)
        await _renew_keys(ctx, bearer)
        claims = ctx.signer.read(bearer)
        session = await _live(ctx, claims)
        check_key_of(session.app, holder)
        return session.caller()
    first, second = await _holder(ctx, bearer or api_key), await _holder(ctx, bearer and api_key)
    if first is None:
        raise AuthenticationRequiredError
    if second is not None:
        second.require_of(first.app.app_id)
    return first.caller()


async def caller_in_app(
    ctx: Context, *, session_token: str, app_public_id: str, api_key: str | None = None
) -> Caller:
    """Who calls with a session token in the body, which must be of the app that the body names.

    Raises:
        AppNotFoundError: no such app. TokenForeignAppError: the token is another app's.
        ApiKeyRequiredError, ApiKeyInvalidError: the key beside it. Else why the token does not count.
    """
    return (await _session_in_app(ctx, session_token, app_public_id, api_key)).caller()


async def validate(
    ctx: Context, *, session_token: str, app_public_id: str, api_key: str | None = None
) -> Validated:
    """Whom a session token of this app stands for, and what they can spend.

    Raises:
        As ``caller_in_app``.
    """
    session = await _session_in_app(ctx, session_token, app_public_id, api_key)
    async with ctx.db.snapshot() as tx:
        return await _who(tx, session.user, session.app)


async def _holder(ctx: Context, api_key: str | None) -> KeyHolder | None:
    if not api_key:
        return None
    key_hash = api_keys.hash_of(api_key)
    holder = await ctx.known.key_holder(key_hash)
    if holder is None:
        raise ApiKeyInvalidError
    now = ctx.clock()
    holder.key.require_live(now)
    holder.app.require_open()
    if holder.key.use_is_due(now):
        ctx.known.note_use(key_hash, now)
        async with ctx.db.transaction() as tx:
            await registry.note_api_key_use(tx, now, holder.key.api_key_id)
    return holder


async def _proved(login: Login | None, email: str, password: str) -> Login:
    matches = await passwords.verify(login.password_hash if login else None, password)
    if login is None or not matches:
        _log.warning("sign-in refused", email=masked_email(email), reason="credentials")
        raise InvalidCredentialsError
    if not login.user.is_active:
        _log.warning("sign-in refused", user_id=login.user.user_id, reason="inactive")
        raise UserInactiveError
    return login


async def _rehash(ctx: Context, login: Login, password: str) -> None:
    if passwords.needs_rehash(login.password_hash):
        new_hash = await passwords.make_hash(password)
        async with ctx.db.transaction() as tx:
            await identity.rehash_password(
                tx, login.user.user_id, old_hash=login.password_hash, password_hash=new_hash
            )


async def _open(ctx: Context, tx: Transaction, now: datetime, user: User, app: App) -> Tokens:
    session_id, expires_at = refresh_tokens.new_session_id(), now + timedelta(seconds=ctx.session_seconds)
    await identity.add_session(
        tx, now, session_id=session_id, user_id=user.user_id, app_id=app.app_id, expires_at=expires_at
    )
    return _tokens(ctx, user, app, session_id, generation=0, expires_at=expires_at)


def _tokens(
    ctx: Context, user: User, app: App, session_id: UUID, *, generation: int, expires_at: datetime
) -> Tokens:
    token, seconds = ctx.signer.sign(
        user_id=user.user_id,
        session_id=session_id,
        audience=app.audience,
        lifetime_seconds=ctx.session_token_seconds,
        not_after=expires_at,
    )
    return Tokens(
        session_token=token,
        refresh_token=refresh_tokens.make(ctx.sealer, session_id, generation),
        expires_in=seconds,
    )


async def _who(tx: Transaction, user: User, app: App) -> Validated:
    return Validated(user=user, app=app, credits=await identity.available_of_user(tx, user.user_id))


async def _renew_keys(ctx: Context, token: str | None = None) -> None:
    """Read the signing keys again when it is time, so that a rotation elsewhere arrives here too."""
    if ctx.signer.is_stale_for(token):
        async with ctx.db.snapshot() as tx:
            stored = await identity.signing_keys(tx)
        ctx.signer.use(stored)


async def _live(ctx: Context, claims: Claims) -> Session:
    session = await ctx.known.session(claims.session_id)
    if session is None or not session.is_of(claims.user_id, claims.audience):
        raise TokenInvalidError
    session.require_live(ctx.clock())
    return session


async def _session_in_app(ctx: Context, token: str, app_public_id: str, api_key: str | None) -> Session:
    holder = await _holder(ctx, api_key)
    await _renew_keys(ctx, token)
    claims = ctx.signer.read(token)
    if claims.audience != app_public_id:
        async with ctx.db.snapshot() as tx:
            await registry.require_app_named(tx, claims.audience, app_public_id)
    session = await _live(ctx, claims)
    check_key_of(session.app, holder)
    return session

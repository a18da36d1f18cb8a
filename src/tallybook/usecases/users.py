"""Users: sign up, look up, switch off and on, change a password."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tallybook.domain.errors import (
    IdempotencyKeyReusedError,
    InvalidCredentialsError,
    PermissionDeniedError,
)
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.identity.people import Role, User, clean_email
from tallybook.domain.identity.sessions import RevokedReason
from tallybook.postgres import audit, identity, ledger, remembered
from tallybook.postgres.pool import Transaction
from tallybook.security import passwords
from tallybook.usecases.context import Context

_SCOPE = "users.sign_up"
OPERATOR = Caller(is_admin=True)
"""The command line: whoever may run it on the server is an admin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedUp:
    """A new account, or the one that this key made before."""

    user: User
    replayed: bool


async def sign_up(ctx: Context, *, email: str, password: str, key: str | None = None) -> SignedUp:
    """Make a customer's account.

    Unlike sign-in, this tells whether an e-mail has an account (409): a person who forgot that they have one must
    learn it. Nothing limits yet how often it is asked: put a rate limit in front.

    Raises:
        EmailTakenError, EmailInvalidError, PasswordUnfitError: each for its reason.
        IdempotencyKeyReusedError: the key made another account, or the password differs.
    """
    email = clean_email(email)
    passwords.check_fitness(password, email=email)
    password_hash = await passwords.make_hash(password)
    # The password is no part of the terms, since they are a fast code; a retry proves it below.
    terms = ctx.sealer.terms("sign up", email)
    # Each person has their own keys: what one chose must not be in another's way.
    scope = f"{_SCOPE}:{email.lower()}"
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        kept = None if key is None else await remembered.recall(tx, scope, key, terms)
        if kept is not None:
            user_id = ctx.sealer.open_json(kept, scope)
            login = await identity.login(tx, user_id=user_id)
        else:
            login = None
            user = await identity.add_user(
                tx, now, email=email, password_hash=password_hash, role=Role.CUSTOMER
            )
            await ledger.open_wallet(tx, now, user_id=user.user_id)
            if key is not None:
                sealed = ctx.sealer.seal_json(user.user_id, scope)
                await remembered.remember(tx, now, scope, key, terms=terms, answer=sealed)
            return SignedUp(user=user, replayed=False)
    if login is None or not await passwords.verify(login.password_hash, password):
        raise IdempotencyKeyReusedError
    return SignedUp(user=login.user, replayed=True)


async def create_user(
    ctx: Context,
    email: str,
    password: str,
    role: Role = Role.CUSTOMER,
    *,
    allow_common: bool = False,
    caller: Caller = OPERATOR,
) -> User:
    """Make an account of any role; for the command line and the demo. ``allow_common`` lets a weak password pass.

    Raises:
        AdminRequiredError: the caller is not an admin.
        EmailTakenError, EmailInvalidError, PasswordUnfitError: each for its reason.
    """
    caller.require_admin()
    email = clean_email(email)
    passwords.check_fitness(password, email=email, allow_common=allow_common)
    password_hash = await passwords.make_hash(password)
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        user = await identity.add_user(tx, now, email=email, password_hash=password_hash, role=role)
        # A row, not a rule: a wallet that comes into being later could be kept waiting by someone else's transaction.
        await ledger.open_wallet(tx, now, user_id=user.user_id)
        after = {"role": role, "weak_password_allowed": allow_common}
        await _record(tx, now, caller, "user.created", user.user_id, after=after)
    return user


async def get(ctx: Context, caller: Caller, user_id: int | None) -> User:
    """One user: oneself (None), anyone for an admin, or anyone for an app key that may read user information.

    Raises:
        UserNotFoundError: there is none. PermissionDeniedError: not the caller's to see.
    """
    user_id = caller.user_for(user_id, Permission.READ_USER_INFO)
    async with ctx.db.snapshot() as tx:
        return await identity.user(tx, user_id)


async def find(ctx: Context, caller: Caller, email: str) -> User:
    """One user by e-mail, for an admin.

    Raises:
        UserNotFoundError: there is none.
    """
    caller.require_admin()
    async with ctx.db.snapshot() as tx:
        return await identity.user_by_email(tx, email)


async def page(ctx: Context, caller: Caller, *, after: int = 0, limit: int = 50) -> list[User]:
    """Up to ``limit`` users with ids above ``after``, for an admin."""
    caller.require_admin()
    async with ctx.db.snapshot() as tx:
        return await identity.users_after(tx, after, limit)


async def set_active(ctx: Context, caller: Caller, user_id: int, *, is_active: bool) -> User:
    """Switch a user on or off; switched off, all their sessions end at once and do not come back.

    Raises:
        UserNotFoundError: there is none. PermissionDeniedError: an admin switching off themselves.
    """
    caller.require_admin()
    if user_id == caller.user_id and not is_active:
        raise PermissionDeniedError("Nobody can switch off themselves: ask another admin.")
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        before = await identity.user(tx, user_id, for_change=True)
        if before.is_active == is_active:
            return before
        after = await identity.set_active(tx, now, user_id, is_active=is_active)
        if not is_active:
            await identity.revoke_sessions_of_user(tx, now, user_id, RevokedReason.USER_DEACTIVATED)
        action = "user.activated" if is_active else "user.deactivated"
        await _record(tx, now, caller, action, user_id, after={"is_active": is_active})
    return after


async def change_password(ctx: Context, caller: Caller, *, old_password: str, new_password: str) -> None:
    """Set one's own new password; all sessions end, this one too.

    Raises:
        PermissionDeniedError: the session is an app's. InvalidCredentialsError: the old one is wrong.
        PasswordUnfitError: the new one will not do.
    """
    user_id = caller.own_user_in_house()
    async with ctx.db.snapshot() as tx:
        login = await identity.login(tx, user_id=user_id)
    if login is None or not await passwords.verify(login.password_hash, old_password):
        raise InvalidCredentialsError
    passwords.check_fitness(new_password, email=login.user.email)
    new_hash = await passwords.make_hash(new_password)
    async with ctx.db.transaction() as tx:
        if not await _replace(tx, ctx.clock(), user_id, login.password_hash, new_hash):
            raise InvalidCredentialsError
        await _record(tx, ctx.clock(), caller, "user.password_changed", user_id)


async def reset_password(
    ctx: Context, caller: Caller, user_id: int, *, new_password: str, allow_common: bool = False
) -> None:
    """Set somebody's password, for an admin; all their sessions end.

    Raises:
        UserNotFoundError: there is none. PasswordUnfitError: it will not do.
    """
    caller.require_admin()
    async with ctx.db.snapshot() as tx:
        user = await identity.user(tx, user_id)
    passwords.check_fitness(new_password, email=user.email, allow_common=allow_common)
    new_hash = await passwords.make_hash(new_password)
    async with ctx.db.transaction() as tx:
        await identity.user(tx, user_id, for_change=True)
        login = await identity.login(tx, user_id=user_id)
        assert login is not None
        await _replace(tx, ctx.clock(), user_id, login.password_hash, new_hash)
        await _record(tx, ctx.clock(), caller, "user.password_reset", user_id)


async def _replace(tx: Transaction, now: datetime, user_id: int, old_hash: str, new_hash: str) -> bool:
    if not await identity.replace_password(tx, now, user_id, old_hash=old_hash, password_hash=new_hash):
        return False
    await identity.revoke_sessions_of_user(tx, now, user_id, RevokedReason.PASSWORD_CHANGED)
    return True


async def _record(
    tx: Transaction,
    now: datetime,
    caller: Caller,
    action: str,
    user_id: int,
    *,
    after: dict[str, object] | None = None,
) -> None:
    await audit.record(tx, now, caller.actor, action, ("user", str(user_id)), after=after)

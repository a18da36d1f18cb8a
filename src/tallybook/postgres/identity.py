"""Users, sessions and signing keys in PostgreSQL; apps and their keys are in ``registry.py`` beside it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from tallybook.domain.errors import EmailTakenError, UserNotFoundError
from tallybook.domain.identity.people import Login, Role, User, email_key
from tallybook.domain.identity.sessions import RevokedReason, Session
from tallybook.domain.identity.signing_keys import StoredSigningKey
from tallybook.domain.money import Credits
from tallybook.postgres.pool import Row, Transaction
from tallybook.postgres.registry import app_of
from tallybook.postgres.statements import Statements

_SQL = Statements("identity")


async def add_user(tx: Transaction, now: datetime, *, email: str, password_hash: str, role: Role) -> User:
    """Add a user.

    Raises:
        EmailTakenError: the e-mail, folded to lower case, is another account's.
    """
    row = await tx.maybe(
        _SQL.add_user,
        email=email,
        email_key=email_key(email),
        password_hash=password_hash,
        role=role,
        now=now,
    )
    if row is None:
        raise EmailTakenError
    return _user(row)


async def user(tx: Transaction, user_id: int, *, for_change: bool = False) -> User:
    """One user; ``for_change`` keeps everyone else from changing it until the transaction ends.

    Raises:
        UserNotFoundError: there is none.
    """
    statement = _SQL.lock_user_for_change if for_change else _SQL.user_by_id
    row = await tx.maybe(statement, user_id=user_id)
    if row is None:
        raise UserNotFoundError(user_id=user_id)
    return _user(row)


async def user_by_email(tx: Transaction, email: str) -> User:
    """One user by e-mail, whatever its capitals.

    Raises:
        UserNotFoundError: there is none.
    """
    row = await tx.maybe(_SQL.user_by_email, email_key=email_key(email))
    if row is None:
        raise UserNotFoundError
    return _user(row)


async def users_after(tx: Transaction, after: int, limit: int) -> list[User]:
    """A page of users in the order they came."""
    return [_user(row) for row in await tx.many(_SQL.users_after, after=after, limit=limit)]


async def login(tx: Transaction, *, email: str | None = None, user_id: int | None = None) -> Login | None:
    """What a password is checked against, by e-mail or by id."""
    if email is not None:
        row = await tx.maybe(_SQL.login_by_email, email_key=email_key(email))
    else:
        row = await tx.maybe(_SQL.login_by_id, user_id=user_id)
    if row is None:
        return None
    return Login(
        user=_user(row),
        password_hash=row["password_hash"],
        sessions_valid_from=row["sessions_valid_from"],
    )


async def unchanged_since(tx: Transaction, seen: Login) -> bool:
    """Whether the user is still active under the same password; it stays so until the transaction ends."""
    row = await tx.one(_SQL.lock_user, user_id=seen.user.user_id)
    return bool(row["is_active"] and row["sessions_valid_from"] == seen.sessions_valid_from)


async def set_active(tx: Transaction, now: datetime, user_id: int, *, is_active: bool) -> User:
    """Switch a user on or off."""
    tx.changes_callers()
    return _user(await tx.one(_SQL.set_active, user_id=user_id, is_active=is_active, now=now))


async def replace_password(
    tx: Transaction, now: datetime, user_id: int, *, old_hash: str, password_hash: str
) -> bool:
    """Set a new password and let older sessions end; False if the old one is not current any more."""
    tx.changes_callers()
    row = await tx.maybe(
        _SQL.replace_password,
        user_id=user_id,
        old_hash=old_hash,
        password_hash=password_hash,
        now=now,
    )
    return row is not None


async def rehash_password(tx: Transaction, user_id: int, *, old_hash: str, password_hash: str) -> None:
    """Store the same password under today's cost; nothing happens if it changed meanwhile."""
    await tx.run(_SQL.rehash_password, user_id=user_id, old_hash=old_hash, password_hash=password_hash)


async def available_of_user(tx: Transaction, user_id: int) -> Credits:
    """What a user can spend now; nothing while no wallet is open."""
    row = await tx.maybe(_SQL.available_of_user, user_id=user_id)
    return Credits(0 if row is None else row["available_micro"])


async def note_app_user(
    tx: Transaction,
    now: datetime,
    *,
    app_id: int,
    user_id: int,
    app_user_id: str | None,
    metadata: Mapping[str, Any] | None,
) -> None:
    """Write down what an app calls a user and told us about them; None leaves what was there."""
    await tx.run(
        _SQL.note_app_user,
        app_id=app_id,
        user_id=user_id,
        app_user_id=app_user_id,
        metadata=None if metadata is None else dict(metadata),
        now=now,
    )


async def app_user(tx: Transaction, *, app_id: int, user_id: int) -> tuple[str | None, dict[str, Any]] | None:
    """What an app calls a user and told us about them, if it ever signed them in."""
    row = await tx.maybe(_SQL.app_user, app_id=app_id, user_id=user_id)
    return None if row is None else (row["app_user_id"], row["metadata"])


async def add_session(
    tx: Transaction,
    now: datetime,
    *,
    session_id: UUID,
    user_id: int,
    app_id: int,
    expires_at: datetime,
) -> None:
    """Open a session."""
    await tx.run(
        _SQL.add_session,
        session_id=session_id,
        user_id=user_id,
        app_id=app_id,
        now=now,
        expires_at=expires_at,
    )


async def session(tx: Transaction, session_id: UUID) -> Session | None:
    """A session with its user and app, alive or not."""
    row = await tx.maybe(_SQL.session, session_id=session_id)
    return None if row is None else session_of(row)


async def rotate_session(tx: Transaction, now: datetime, session_id: UUID, generation: int) -> bool:
    """Move a session to its next refresh token; False if ``generation`` is not current or it ended."""
    row = await tx.maybe(_SQL.rotate_session, session_id=session_id, generation=generation, now=now)
    return row is not None


async def revoke_session(tx: Transaction, now: datetime, session_id: UUID, reason: RevokedReason) -> None:
    """End a session; one that ended keeps its first reason."""
    tx.changes_callers()
    await tx.run(_SQL.revoke_session, session_id=session_id, reason=reason, now=now)


async def revoke_sessions_of_user(
    tx: Transaction, now: datetime, user_id: int, reason: RevokedReason
) -> None:
    """End all sessions of a user."""
    tx.changes_callers()
    await tx.run(_SQL.revoke_sessions_of_user, user_id=user_id, reason=reason, now=now)


async def signing_keys(tx: Transaction, *, for_change: bool = False) -> list[StoredSigningKey]:
    """All signing keys, oldest first; ``for_change`` lets one process at a time add and retire."""
    if for_change:
        await tx.run(_SQL.lock_signing_keys)
    return [StoredSigningKey(**dict(row)) for row in await tx.many(_SQL.signing_keys)]


async def add_signing_key(tx: Transaction, key: StoredSigningKey) -> None:
    """Add a signing key."""
    await tx.run(
        _SQL.add_signing_key,
        key_id=key.key_id,
        algorithm=key.algorithm,
        public_jwk=dict(key.public_jwk),
        private_key_sealed=key.private_key_sealed,
        created_at=key.created_at,
    )


async def retire_signing_keys(tx: Transaction, now: datetime, *, but: str) -> None:
    """Sign no more with any key but this one."""
    await tx.run(_SQL.retire_signing_keys, key_id=but, now=now)


def session_of(row: Row) -> Session:
    """The session in a row that has its columns, its user's and its app's."""
    return Session(
        session_id=row["session_id"],
        user=User(
            user_id=row["user_id"],
            email=row["email"],
            role=Role(row["role"]),
            is_active=row["user_is_active"],
            created_at=row["user_created_at"],
        ),
        sessions_valid_from=row["sessions_valid_from"],
        app=app_of(row),
        refresh_generation=row["refresh_generation"],
        refreshed_at=row["refreshed_at"],
        created_at=row["session_created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )


def _user(row: Row) -> User:
    return User(
        user_id=row["user_id"],
        email=row["email"],
        role=Role(row["role"]),
        is_active=row["is_active"],
        created_at=row["created_at"],
    )

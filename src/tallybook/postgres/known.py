"""What this process remembers of who may call and whose a wallet is, so that a request need not ask again.

Nothing is trusted that could have changed: triggers tell of each change (migration 0010), this process hears them on a
connection of its own and forgets; while it does not hear, it remembers nothing and asks each time. What this process
changed itself it forgets before the change is answered (``Transaction.changes_callers``). A connection may be dead
without knowing it: the database has to answer on it every second and a half, and ``TRUSTED_SECONDS`` after the last
question that was answered nothing is trusted any more. And once a minute all is forgotten, for changes that no trigger
told (a superuser's, with triggers off). Balances are never remembered, nor that something is not there; limits in time
(of keys, tokens and sessions) are looked at in each use, by those who use it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import structlog

from tallybook.domain.errors import BillingError
from tallybook.domain.identity.apps import KeyHolder
from tallybook.domain.identity.sessions import Session
from tallybook.postgres.fresh import Fresh
from tallybook.postgres.gathering import Gathering, K, V
from tallybook.postgres.pool import Database, Ear

CHANNEL = "tallybook_callers"
TRUSTED_SECONDS = 5.0
_ASKED_EVERY_SECONDS = 1.5
_ANSWERS_WITHIN_SECONDS = 3.0
_REMEMBERED_SECONDS = 60.0
REMEMBERED_MAX = 100_000
"""Of each kind; what was remembered first goes first."""
_PAUSE_SECONDS = 0.2
_SESSION = "session "
_log = structlog.get_logger("tallybook.known")


@dataclass(frozen=True, slots=True)
class WalletOwner:
    """Whose a wallet is, and whether they are active; an organisation always is."""

    user_id: int | None
    organisation_id: int | None
    is_active: bool


@dataclass(frozen=True, slots=True)
class UserPlace:
    """Whether a user is active, and their default wallet if it is open."""

    is_active: bool
    wallet_id: int | None


class Known:
    """The memory of one process; it works, and remembers nothing, also while nobody ``listens``."""

    def __init__(self, db: Database, fresh: Fresh) -> None:
        """Forget whatever a transaction of this database object changes."""
        self._db = db
        self._fresh = fresh
        self._hears_until = 0.0
        self._forgotten = 0
        self._key_holders: dict[bytes, KeyHolder] = {}
        self._sessions: dict[UUID, Session] = {}
        self._places: dict[int, UserPlace] = {}
        self._owners: dict[int, WalletOwner] = {}
        self._members: dict[tuple[int, int], bool] = {}
        db.when_callers_change(self.forget)

    @property
    def is_hearing(self) -> bool:
        """Whether changes of other processes are heard now; only then anything is remembered."""
        return time.monotonic() < self._hears_until

    async def key_holder(self, key_hash: bytes) -> KeyHolder | None:
        """The API key of a hash and its app, alive or not."""
        return await self._looked_up(self._key_holders, key_hash, self._fresh.key_holder)

    async def session(self, session_id: UUID) -> Session | None:
        """A session with its user and app, alive or not."""
        return await self._looked_up(self._sessions, session_id, self._fresh.session)

    async def is_member(self, organisation_id: int | None, user_id: int) -> bool:
        """Whether a user belongs to an organisation that owns wallets."""
        if organisation_id is None:
            return False
        pair = (organisation_id, user_id)
        return await self._looked_up(self._members, pair, self._fresh.membership) or False

    async def place(self, user_id: int) -> UserPlace | None:
        """Whether a user is active, and where their credits are; None if there is no such user."""
        place = self._trusted(self._places, user_id)
        if place is not None:
            return place
        before = self._forgotten
        found = await self._fresh.user_wallet.get(user_id)
        if found is None:
            return None
        place = UserPlace(found.is_active, None if found.wallet is None else found.wallet.wallet_id)
        if place.wallet_id is not None:
            self._remember(self._places, user_id, place, before)
        return place

    async def owner(self, wallet_id: int) -> WalletOwner | None:
        """Whose a wallet is; None if there is no such wallet."""
        owner = self._trusted(self._owners, wallet_id)
        if owner is not None:
            return owner
        before = self._forgotten
        found = await self._fresh.wallet.get(wallet_id)
        if found is None:
            return None
        owner = WalletOwner(found.owner_user_id, found.owner_organisation_id, found.owner_is_active)
        self._remember(self._owners, wallet_id, owner, before)
        return owner

    def note_use(self, key_hash: bytes, now: datetime) -> None:
        """An API key was used now: whoever uses it next need not write that down again."""
        kept = self._key_holders.get(key_hash)
        if kept is not None:
            self._key_holders[key_hash] = replace(kept, key=replace(kept.key, last_used_at=now))

    def forget(self) -> None:
        """Remember nothing of what was, nor of what is just being looked up."""
        self._forgotten += 1
        for kept in (self._key_holders, self._sessions, self._places, self._owners, self._members):
            kept.clear()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Hear of changes while the block runs, and remember meanwhile."""
        task = asyncio.create_task(self._listen())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _listen(self) -> None:
        while True:
            try:
                async with self._db.listening(CHANNEL, self._hear) as ear:
                    # What changed before we listened is not told.
                    self.forget()
                    await self._stay(ear)
            except BillingError as refusal:
                _log.warning("callers_are_not_remembered", code=refusal.code)
            finally:
                self._hears_until = 0.0
                self.forget()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _stay(self, ear: Ear) -> None:
        """Hear until the connection is lost, or the database does not answer on it any more."""
        lost, forgotten = False, time.monotonic()
        while not lost:
            asked = time.monotonic()
            if asked - forgotten > _REMEMBERED_SECONDS:
                self.forget()
                forgotten = asked
            await ear.ask(seconds=_ANSWERS_WITHIN_SECONDS)
            self._hears_until = asked + TRUSTED_SECONDS
            lost = await ear.wait(seconds=_ASKED_EVERY_SECONDS)

    def _hear(self, told: str) -> None:
        if not told.startswith(_SESSION):
            self.forget()
            return
        # Sessions end all the time; the rest is still true, but for what is just being looked up.
        self._forgotten += 1
        self._sessions.pop(UUID(told.removeprefix(_SESSION)), None)

    async def _looked_up(self, kept: dict[K, V], key: K, fresh: Gathering[K, V]) -> V | None:
        found = self._trusted(kept, key)
        if found is not None:
            return found
        before = self._forgotten
        found = await fresh.get(key)
        if found is not None:
            self._remember(kept, key, found, before)
        return found

    def _trusted(self, kept: dict[K, V], key: K) -> V | None:
        return kept.get(key) if self.is_hearing else None

    def _remember(self, kept: dict[K, V], key: K, value: V, before: int) -> None:
        """Keep what was looked up, unless something changed since the question."""
        if not self.is_hearing or before != self._forgotten:
            return
        if len(kept) >= REMEMBERED_MAX:
            kept.pop(next(iter(kept)))
        kept.pop(key, None)
        kept[key] = value

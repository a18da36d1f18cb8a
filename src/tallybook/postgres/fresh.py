"""Reads that many want at the same time, each kind in one query for all who ask; nothing is remembered here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from tallybook.domain.identity.apps import KeyHolder
from tallybook.domain.identity.sessions import Session
from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger.carried import CarriedHold
from tallybook.domain.ledger.requests import Hold, Wallet
from tallybook.postgres import identity, ledger, registry
from tallybook.postgres.gathering import Gathering, K, V
from tallybook.postgres.pool import Database, Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("fresh")


@dataclass(frozen=True, slots=True)
class UserWallet:
    """Whether a user is active, and their default wallet as it is now, if it is open."""

    is_active: bool
    wallet: Wallet | None


class Fresh:
    """What the database says now; each attribute gives one by its key, or None where there is none."""

    def __init__(self, db: Database) -> None:
        """Read through the fast lane."""
        self.key_holder: Gathering[bytes, KeyHolder] = _on(db, _key_holders)
        self.session: Gathering[UUID, Session] = _on(db, _sessions)
        self.user_wallet: Gathering[int, UserWallet] = _on(db, _user_wallets)
        self.wallet: Gathering[int, Wallet] = _on(db, _wallets)
        self.hold: Gathering[LedgerId, Hold] = _on(db, _holds)
        self.carried_hold: Gathering[LedgerId, CarriedHold] = _on(db, _carried_holds)
        self.membership: Gathering[tuple[int, int], bool] = _on(db, _memberships)


def _on(
    db: Database, read: Callable[[Transaction, Sequence[K]], Awaitable[Mapping[K, V]]]
) -> Gathering[K, V]:
    async def ask(keys: Sequence[K]) -> Mapping[K, V]:
        async with db.glance() as tx:
            return await read(tx, keys)

    return Gathering(ask)


async def _key_holders(tx: Transaction, hashes: Sequence[bytes]) -> Mapping[bytes, KeyHolder]:
    rows = await tx.many(_SQL.key_holders, key_hashes=hashes)
    return {row["key_hash"]: registry.key_holder_of(row) for row in rows}


async def _sessions(tx: Transaction, session_ids: Sequence[UUID]) -> Mapping[UUID, Session]:
    rows = await tx.many(_SQL.sessions, session_ids=session_ids)
    return {row["session_id"]: identity.session_of(row) for row in rows}


async def _user_wallets(tx: Transaction, user_ids: Sequence[int]) -> Mapping[int, UserWallet]:
    rows = await tx.many(_SQL.wallets_of_users, user_ids=user_ids)
    return {
        row["user_id"]: UserWallet(
            row["owner_is_active"], None if row["wallet_id"] is None else ledger.wallet_of(row)
        )
        for row in rows
    }


async def _wallets(tx: Transaction, wallet_ids: Sequence[int]) -> Mapping[int, Wallet]:
    rows = await tx.many(_SQL.wallets, wallet_ids=wallet_ids)
    return {row["wallet_id"]: ledger.wallet_of(row) for row in rows}


async def _holds(tx: Transaction, hold_ids: Sequence[LedgerId]) -> Mapping[LedgerId, Hold]:
    rows = await tx.many(
        _SQL.holds,
        wallet_ids=[hold_id.wallet_id for hold_id in hold_ids],
        versions=[hold_id.version for hold_id in hold_ids],
    )
    found = [ledger.hold_of(row) for row in rows]
    return {hold.id: hold for hold in found}


async def _carried_holds(tx: Transaction, hold_ids: Sequence[LedgerId]) -> Mapping[LedgerId, CarriedHold]:
    rows = await tx.many(
        _SQL.carried_holds,
        wallet_ids=[hold_id.wallet_id for hold_id in hold_ids],
        versions=[hold_id.version for hold_id in hold_ids],
    )
    found = [
        CarriedHold(
            hold=ledger.hold_of(row), app_public_id=row["app_public_id"], app_is_open=row["app_is_open"]
        )
        for row in rows
    ]
    return {carried.hold.id: carried for carried in found}


async def _memberships(tx: Transaction, asked: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], bool]:
    rows = await tx.many(
        _SQL.members,
        organisation_ids=[organisation_id for organisation_id, _ in asked],
        user_ids=[user_id for _, user_id in asked],
    )
    return {(row["organisation_id"], row["user_id"]): True for row in rows}

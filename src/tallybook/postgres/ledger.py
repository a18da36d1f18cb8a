"""The door to the ledger: post requests, read wallets, transfers and holds, verify the books."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from tallybook.domain.errors import (
    BatchRefusedError,
    BillingError,
    HoldNotFoundError,
    WalletNotFoundError,
    all_codes,
)
from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger.requests import (
    Account,
    Answer,
    Hold,
    HoldPolicy,
    Lot,
    Posting,
    Transfer,
    Wallet,
)
from tallybook.domain.ledger.sight import PlacedBy
from tallybook.postgres.pool import Row, Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("ledger")
# What has a parameter of its own; the rest of a posting travels as one object.
_PLACED = frozenset({"op", "wallet_id", "app_id", "amount_micro", "key", "hold_version"})
_REST_FIELDS = tuple(field.name for field in fields(Posting) if field.name not in _PLACED)
_REFUSALS = all_codes()


async def post(
    tx: Transaction, now: datetime, requests: Sequence[Posting], *, wait: bool
) -> list[Answer | BillingError]:
    """Post a batch in this transaction; one answer for each request, in order.

    A refusal is an answer too and is stored under its key, so commit the transaction either way. With ``wait``
    false, a wallet that another transaction holds is answered ``WalletBusyError``.
    """
    rows = await tx.many(_SQL.post, now=now, wait=wait, **_columns(requests))
    assert len(rows) == len(requests), (len(rows), len(requests))
    return [_answer(row) for row in rows]


async def post_all(
    tx: Transaction, now: datetime, requests: Sequence[Posting]
) -> list[Answer] | BatchRefusedError:
    """Post all of a batch or nothing of it; commit the transaction either way."""
    rows = await tx.many(_SQL.post_all, now=now, **_columns(requests))
    assert len(rows) == len(requests), (len(rows), len(requests))
    answers: list[Answer] = []
    for answer in map(_answer, rows):
        if isinstance(answer, Answer):
            answers.append(answer)
        else:
            assert isinstance(answer, BatchRefusedError), answer
            return answer
    return answers


async def open_wallet(
    tx: Transaction, now: datetime, *, user_id: int | None = None, organisation_id: int | None = None
) -> int:
    """The default wallet of a user or an organisation, opened if there is none."""
    row = await tx.one(_SQL.open_wallet, now=now, user_id=user_id, organisation_id=organisation_id)
    return int(row["wallet_id"])


async def claim(
    tx: Transaction, now: datetime, *, livemode: bool, object_kind: str, object_id: str, wallet_id: int
) -> int:
    """Claim a Stripe object for a wallet; gives back the wallet that holds the claim, maybe another."""
    row = await tx.one(
        _SQL.claim,
        now=now,
        livemode=livemode,
        object_kind=object_kind,
        object_id=object_id,
        wallet_id=wallet_id,
    )
    return int(row["wallet_id"])


async def wallet(tx: Transaction, wallet_id: int) -> Wallet:
    """A wallet as it is now.

    Raises:
        WalletNotFoundError: there is none.
    """
    row = await tx.maybe(_SQL.wallet, wallet_id=wallet_id)
    if row is None:
        raise WalletNotFoundError
    return wallet_of(row)


async def transfers_before(tx: Transaction, wallet_id: int, *, before: int, limit: int) -> list[Transfer]:
    """A page of a wallet's history, newest first: up to ``limit`` transfers with a version below ``before``."""
    rows = await tx.many(_SQL.transfers_before, wallet_id=wallet_id, before=before, limit=limit)
    return [_transfer(row) for row in rows]


async def transfer(tx: Transaction, transfer_id: LedgerId) -> Transfer | None:
    """One transfer, or None."""
    row = await tx.maybe(_SQL.transfer, wallet_id=transfer_id.wallet_id, version=transfer_id.version)
    return None if row is None else _transfer(row)


async def hold(tx: Transaction, hold_id: LedgerId) -> Hold:
    """One hold as it is now.

    Raises:
        HoldNotFoundError: there is none.
    """
    row = await tx.maybe(_SQL.hold, wallet_id=hold_id.wallet_id, version=hold_id.version)
    if row is None:
        raise HoldNotFoundError
    return hold_of(row)


async def holds(
    tx: Transaction, wallet_id: int, placed_by: PlacedBy, *, status: str, before: int, limit: int
) -> list[Hold]:
    """A page of a wallet's holds, newest first: ``open``, ``settled``, ``left_behind`` or ``all``."""
    rows = await tx.many(
        _SQL.holds,
        wallet_id=wallet_id,
        app_id=placed_by.app_id,
        session_user_id=placed_by.session_user_id,
        status=status,
        before=before,
        limit=limit,
    )
    return [hold_of(row) for row in rows]


async def lots(tx: Transaction, wallet_id: int) -> list[Lot]:
    """The lots of a wallet that still have credits, in the order in which they burn."""
    return [
        Lot(
            id=LedgerId(row["wallet_id"], row["version"]),
            **{field.name: row[field.name] for field in fields(Lot) if field.name != "id"},
        )
        for row in await tx.many(_SQL.lots, wallet_id=wallet_id)
    ]


async def extend_hold(tx: Transaction, now: datetime, hold_id: LedgerId, *, lifetime_seconds: int) -> None:
    """Let an open hold live ``lifetime_seconds`` from now, or as long as it was to, if that is longer.

    Raises:
        HoldSettledError: it is settled, or due to be.
    """
    row = await tx.one(
        _SQL.extend_hold,
        now=now,
        wallet_id=hold_id.wallet_id,
        version=hold_id.version,
        lifetime_seconds=lifetime_seconds,
    )
    if row["code"] != "ok":
        raise _REFUSALS[row["code"]](**row["facts"])


async def settle_due(tx: Transaction, now: datetime, *, limit: int) -> tuple[int, int]:
    """Settle holds and lots that are due, of up to about ``limit`` wallets: how many wallets, and how many things."""
    row = await tx.one(_SQL.settle_due, now=now, limit=limit)
    return row["wallets"], row["settled"]


async def places(tx: Transaction, user_ids: Collection[int]) -> dict[int, tuple[bool, int | None]]:
    """Of those users that there are: whether each is active, and their default wallet if it is open."""
    rows = await tx.many(_SQL.places, user_ids=list(user_ids))
    return {row["user_id"]: (row["is_active"], row["wallet_id"]) for row in rows}


async def owners(tx: Transaction, wallet_ids: Collection[int]) -> dict[int, bool]:
    """Of those wallets that there are: whether the owner of each is active."""
    rows = await tx.many(_SQL.owners, wallet_ids=list(wallet_ids))
    return {row["wallet_id"]: row["is_active"] for row in rows}


def _columns(requests: Sequence[Posting]) -> dict[str, list[Any]]:
    return {
        "ops": [posting.op for posting in requests],
        "wallets": [posting.wallet_id for posting in requests],
        "apps": [posting.app_id for posting in requests],
        "amounts": [posting.amount_micro for posting in requests],
        "keys": [posting.key for posting in requests],
        "holds": [posting.hold_version for posting in requests],
        "rests": [_rest(posting) for posting in requests],
    }


def _rest(posting: Posting) -> dict[str, Any] | None:
    # What is not asked for is left out, so that the terms of a key stay the same when Posting grows a field. A spend's
    # house account goes without saying.
    rest: dict[str, Any] = {}
    for name in _REST_FIELDS:
        value = getattr(posting, name)
        if value is not None:
            rest[name] = value.isoformat() if isinstance(value, datetime) else value
    if posting.op == "spend" and posting.house is Account.USAGE:
        del rest["house"]
    return rest or None


def _answer(row: Row) -> Answer | BillingError:
    if row["code"] != "ok":
        return _REFUSALS[row["code"]](**row["facts"])
    hold_version = row["hold_version"]
    return Answer(
        transfer=LedgerId(row["wallet_id"], row["version"]),
        kind=row["kind"],
        amount_micro=row["amount_micro"],
        released_micro=row["released_micro"],
        repaid_micro=row["repaid_micro"],
        owed_micro=row["owed_micro"],
        available_micro=row["available_micro"],
        held_micro=row["held_micro"],
        debt_micro=row["debt_micro"],
        wallet_version=row["wallet_version"],
        hold=None if hold_version is None else LedgerId(row["wallet_id"], hold_version),
        created_at=row["created_at"],
        replayed=row["replayed"],
    )


def wallet_of(row: Row) -> Wallet:
    """The wallet in a row that has its columns and whether its owner is active."""
    return Wallet(**{field.name: row[field.name] for field in fields(Wallet)})


def hold_of(row: Row) -> Hold:
    """The hold in a row of ``holds``."""
    return Hold(
        id=LedgerId(row["wallet_id"], row["version"]),
        app_id=row["app_id"],
        session_user_id=row["session_user_id"],
        placed_micro=row["placed_micro"],
        captured_micro=row["captured_micro"],
        released_micro=row["released_micro"],
        remaining_micro=row["remaining_micro"],
        delegated_micro=row["delegated_micro"],
        on_expiry=HoldPolicy(row["on_expiry"]),
        expires_at=row["extended_to"] or row["expires_at"],
        placed_at=row["placed_at"],
        settled_at=row["settled_at"],
        settled_by=row["settled_by"],
        parent=None if row["parent_version"] is None else LedgerId(row["wallet_id"], row["parent_version"]),
    )


def _transfer(row: Row) -> Transfer:
    hold_version = row["hold_version"]
    return Transfer(
        id=LedgerId(row["wallet_id"], row["version"]),
        kind=row["kind"],
        debit=Account(row["debit"]),
        credit=Account(row["credit"]),
        amount_micro=row["amount_micro"],
        available_after=row["available_after"],
        held_after=row["held_after"],
        debt_after=row["debt_after"],
        app_id=row["app_id"],
        key=row["key"],
        hold=None if hold_version is None else LedgerId(row["wallet_id"], hold_version),
        description=row["description"],
        service=row["service"],
        metadata=row["metadata"],
        created_at=row["created_at"],
    )

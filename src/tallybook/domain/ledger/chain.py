"""The hash chain a second time: digests of transfers computed here, from ``docs/anchors.md`` and not from the SQL.

Whoever has the rows, from the database or from an export of it, checks them with this and Python's standard library. It
trusts no function of the database. What writes the digests is ``postgres/functions``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tallybook.domain.ledger.requests import Fault

_EPOCH_1970 = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_2000 = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NOTHING = hashlib.sha256(b"").digest()
CHECK = "chain_in_python"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainedTransfer:
    """A row of ``transfers``: what its digest covers, and the digest that is stored."""

    wallet_id: int
    version: int
    kind: str
    debit: str
    credit: str
    amount_micro: int
    available_after: int
    held_after: int
    debt_after: int
    app_id: int
    key: str | None
    terms: bytes | None
    part_of: int | None
    hold_version: int | None
    lot_version: int | None
    parent_version: int | None
    undoes_version: int | None
    on_lot_version: int | None
    budget_ids: Sequence[int] | None
    legs: int | None
    note_digest: bytes | None
    detail_digest: bytes | None
    created_at: datetime
    form: int
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainedWallet:
    """What a wallet's row says of its chain: whose it is, and where it ends."""

    wallet_id: int
    owner_user_id: int | None
    owner_organisation_id: int | None
    version: int
    digest: bytes


def first_digest(owner_user_id: int | None, owner_organisation_id: int | None) -> bytes:
    """Where a wallet's chain begins: whose wallet it is."""
    return _sha256(_json(owner_user_id, owner_organisation_id))


def link(previous: bytes, row: ChainedTransfer) -> bytes:
    """The digest that a transfer must have behind this one.

    Raises:
        ValueError: the row has a form that is not known here.
    """
    if row.form not in _FORMS:
        raise ValueError(row.form)
    return _sha256(previous + _FORMS[row.form](row))


class ChainCheck:
    """Takes the wallets one after another, each with its transfers in order, and says of each row whether it fits."""

    def __init__(self) -> None:
        """Nothing is checked yet."""
        self.transfers = 0
        self._wallet: ChainedWallet | None = None
        self._version = 0
        self._digest = b""

    def wallet(self, wallet: ChainedWallet) -> Fault | None:
        """Begin a wallet's chain; the fault is of the wallet before it."""
        fault = self.end()
        self._wallet = wallet
        self._version = 0
        self._digest = first_digest(wallet.owner_user_id, wallet.owner_organisation_id)
        return fault

    def transfer(self, row: ChainedTransfer) -> Fault | None:
        """The next transfer of the wallet; what follows a row that does not fit is judged by what that row says."""
        self.transfers += 1
        before, self._version = (self._version, self._digest), row.version
        self._digest = row.digest
        if self._wallet is None or row.wallet_id != self._wallet.wallet_id:
            return _fault(row.wallet_id, row.version, "a transfer of a wallet that does not exist")
        if row.version != before[0] + 1:
            return _fault(row.wallet_id, row.version, f"follows transfer {before[0]}")
        if row.form not in _FORMS:
            return _fault(row.wallet_id, row.version, f"has the unknown form {row.form}")
        if row.digest != link(before[1], row):
            detail = "the digest does not fit the row and the one before it"
            return _fault(row.wallet_id, row.version, detail)
        return None

    def end(self) -> Fault | None:
        """No more transfers of the wallet: whether it ends where its row says."""
        wallet, self._wallet = self._wallet, None
        if wallet is None or (wallet.version, wallet.digest) == (self._version, self._digest):
            return None
        detail = (
            f"the wallet says that its chain ends at transfer {wallet.version}; it ends at {self._version}"
        )
        if wallet.version == self._version:
            detail = "the wallet says another digest than its newest transfer"
        return _fault(wallet.wallet_id, wallet.version, detail)


def _fault(wallet_id: int, version: int, detail: str) -> Fault:
    return Fault(wallet_id=wallet_id, version=version, check=CHECK, detail=detail)


def _first_form(row: ChainedTransfer) -> bytes:
    head = (row.wallet_id, row.version, row.kind, row.debit, row.credit, row.amount_micro)
    after = (row.available_after, row.held_after, row.debt_after, row.app_id, row.key, _hex(row.terms))
    rare = (row.part_of, row.hold_version, row.lot_version, _hex(row.note_digest), _hex(row.detail_digest))
    return _json(*head, *after, *rare, _Seconds(row.created_at))


def _second_form(row: ChainedTransfer) -> bytes:
    numbers = (
        row.wallet_id,
        row.version,
        row.amount_micro,
        row.available_after,
        row.held_after,
        row.debt_after,
    )
    since_2000 = (row.created_at - _EPOCH_2000) // _MICROSECOND
    fixed = [number.to_bytes(8, "big", signed=True) for number in numbers]
    fixed.append(row.app_id.to_bytes(4, "big", signed=True))
    fixed.append((row.on_lot_version or 0).to_bytes(8, "big", signed=True))
    fixed.append(since_2000.to_bytes(8, "big", signed=True))
    digests = [_NOTHING if one is None else one for one in (row.terms, row.note_digest, row.detail_digest)]
    text = " ".join((row.kind, row.debit, row.credit, _rare(row), row.key or ""))
    return b"".join([*fixed, *digests, text.encode()])


def _rare(row: ChainedTransfer) -> str:
    """The columns that most transfers leave empty, without blanks; empty when all are."""
    numbers = (row.part_of, row.hold_version, row.lot_version, row.parent_version, row.undoes_version)
    legs = 1 if row.legs is None else row.legs
    if row.budget_ids is None and legs == 1 and numbers == (None,) * len(numbers):
        return ""
    parts = [str(number or 0) for number in numbers] + [str(legs)]
    if row.budget_ids is not None:
        parts.append("/".join(map(str, row.budget_ids)))
    return ",".join(parts)


_FORMS = {1: _first_form, 2: _second_form}


@dataclass(frozen=True, slots=True)
class _Seconds:
    """A time as the first form has it: seconds since 1970 with six decimals."""

    at: datetime

    def __str__(self) -> str:
        micros = (self.at - _EPOCH_1970) // _MICROSECOND
        return f"{'-' if micros < 0 else ''}{abs(micros) // 1_000_000}.{abs(micros) % 1_000_000:06d}"


def _json(*values: Any) -> bytes:
    """An array as PostgreSQL's jsonb writes it: a blank behind each comma, only what JSON demands escaped."""
    return f"[{', '.join(map(_json_value, values))}]".encode()


def _json_value(value: Any) -> str:
    return str(value) if isinstance(value, _Seconds) else json.dumps(value, ensure_ascii=False)


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


def _sha256(value: bytes) -> bytes:
    return hashlib.sha256(value).digest()

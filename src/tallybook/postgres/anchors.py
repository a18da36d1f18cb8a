"""The door to what anchors repeat and are compared with: digests of transfers and of refusals. Reads only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from tallybook.domain.ledger.anchors import KEY_BYTES, LINK_BYTES, REFUSAL_BYTES, RefusalMark, Span
from tallybook.postgres.pool import Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("anchors")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A wallet that is not as it was last anchored; ``version`` is None when it is gone.

    ``known_head`` is what its chain says now of the version that was anchored last.
    """

    wallet_id: int
    version: int | None
    known_version: int
    known_head: bytes | None
    refusals: int
    known_refusals: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRefusal:
    """A refusal to anchor, with how many its wallet has in all and when the newest was made."""

    wallet_id: int
    mark: RefusalMark
    total: int
    latest: datetime


async def books(tx: Transaction) -> dict[str, int]:
    """How many wallets, transfers and refusals there are, the highest wallet, and what all have together."""
    return dict(await tx.one(_SQL.books))


async def moved(
    tx: Transaction, lowest: int, highest: int, known: Sequence[tuple[int, int, int]]
) -> list[Moved]:
    """Wallets between two ids that differ from ``known`` (wallet, version, refusals), in order of their ids."""
    wallets, versions, refusals = zip(*known, strict=True) if known else ((), (), ())
    rows = await tx.many(
        _SQL.moved, lowest=lowest, highest=highest, wallets=wallets, versions=versions, refusals=refusals
    )
    return [Moved(**row) for row in rows]


async def spans(tx: Transaction, wanted: Sequence[tuple[int, int, int]]) -> list[Span | None]:
    """What the chain says of each span (wallet, after, upto) now; None where its last transfer is not there."""
    wallets, afters, uptos = zip(*wanted, strict=True)
    rows = await tx.many(_SQL.spans, link_bytes=LINK_BYTES, wallets=wallets, afters=afters, uptos=uptos)
    return [
        None
        if row["head"] is None
        else Span(wallet_id=wallet, after=after, upto=upto, links=row["links"], head=row["head"])
        for (wallet, after, upto), row in zip(wanted, rows, strict=True)
    ]


async def versions(tx: Transaction, wallet_id: int, after: int, upto: int) -> dict[int, bytes]:
    """The digests of the transfers of one span that are there."""
    rows = await tx.many(_SQL.versions, wallet_id=wallet_id, after=after, upto=upto)
    return {row["version"]: row["digest"] for row in rows}


async def head(tx: Transaction, wallet_id: int) -> tuple[int | None, int]:
    """The version that a wallet says it has (None: no such wallet), and its newest transfer (0: none)."""
    row = await tx.one(_SQL.head, wallet_id=wallet_id)
    return row["wallet_version"], row["newest"]


async def refused_since(
    tx: Transaction, known: Sequence[tuple[int, datetime, int]]
) -> AsyncIterator[FoundRefusal]:
    """Refusals of these wallets (wallet, newest anchored, how many anchored) to anchor, wallet by wallet.

    Where their times were not in order all of a wallet's are given again, so that none is left out.
    """
    wallets, untils, counts = zip(*known, strict=True)
    async for row in tx.stream(_SQL.refused_since, wallets=wallets, untils=untils, known=counts):
        mark = RefusalMark(
            app_id=row["app_id"],
            wallet_version=row["wallet_version"],
            key=row["key_digest"][:KEY_BYTES],
            digest=row["digest"][:REFUSAL_BYTES],
        )
        yield FoundRefusal(wallet_id=row["wallet_id"], mark=mark, total=row["total"], latest=row["latest"])


async def refusals_gone(tx: Transaction, marks: Sequence[tuple[int, RefusalMark]]) -> list[int]:
    """Which of these refusals (by place, from 0) are not there as they were anchored."""
    rows = await tx.many(
        _SQL.refusals_gone,
        digest_bytes=REFUSAL_BYTES,
        wallets=[wallet for wallet, _ in marks],
        digests=[mark.digest for _, mark in marks],
    )
    return [row["place"] - 1 for row in rows]


async def refused_key(tx: Transaction, wallet_id: int, mark: RefusalMark) -> str | None:
    """The key of the refusal that is there now under an anchored one's key; None when it is gone."""
    row = await tx.maybe(
        _SQL.refusal_by_key,
        wallet_id=wallet_id,
        app_id=mark.app_id,
        key_bytes=KEY_BYTES,
        key_digest=mark.key,
    )
    return None if row is None else str(row["key"])

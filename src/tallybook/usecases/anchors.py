"""Export anchors: what the ledger's chains say now, written where the database's superuser need not reach.

Comparing the ledger with anchors is ``anchor_checks.py``; what anchors prove is docs/anchors.md.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from tallybook.domain.errors import AnchorFailedError
from tallybook.domain.ledger.anchors import (
    LINK_BYTES,
    MARKS_MAX,
    AnchorName,
    Header,
    Line,
    Refused,
    Span,
    Totals,
    spans,
)
from tallybook.postgres import anchors
from tallybook.postgres.anchors import FoundRefusal, Moved
from tallybook.postgres.pool import Transaction
from tallybook.security.anchor_files import AnchorDraft, AnchorFolder, require_free
from tallybook.security.anchored_heads import HEADS_NAME, AnchoredHeads, catch_up
from tallybook.usecases.context import Context

Progress = Callable[[int, int], None]
"""Called with how much is done, and of how much."""

WALLETS_AT_ONCE = 10_000
TRANSFERS_AT_ONCE = 16_384
REFUSALS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """An anchor that was exported: its digest is what is worth publishing."""

    path: Path
    number: int
    taken_at: datetime
    digest: str
    before: str | None
    transfers: int
    refusals: int
    ledger: dict[str, int]


async def export(ctx: Context, folder: Path, *, progress: Progress) -> Exported:
    """Export the next anchor of the folder's chain: what changed since the one before it, at one moment.

    Raises:
        AnchorFailedError: the folder cannot be written, another process exports into it, or the ledger does not
            continue what is anchored there.
    """
    place = AnchorFolder(folder)
    with place.exporting() as ours:
        if not ours:
            raise AnchorFailedError("Another process is exporting into this folder.", folder=str(folder))
        return await _next(ctx, place, progress)


async def export_when_due(ctx: Context) -> Exported | None:
    """Export into the installation's own folder if the newest anchor there is old enough; None if nothing was to do.

    Raises:
        AnchorFailedError: it was due and could not be exported.
    """
    if ctx.anchors_dir is None:
        return None
    place = AnchorFolder(ctx.anchors_dir)
    with place.exporting() as ours:
        # Looked at under the lock only: another worker may have exported a moment ago.
        if not ours or not _is_due(ctx, place):
            return None
        return await _next(ctx, place, _unwatched)


async def export_alone(ctx: Context, path: Path, *, progress: Progress) -> Exported:
    """Export the whole ledger into one file, outside any chain.

    Raises:
        AnchorFailedError: there is such a file already, or it cannot be written.
    """
    require_free(path)
    with tempfile.TemporaryDirectory(prefix="tallybook-") as scratch:
        heads = AnchoredHeads(Path(scratch) / HEADS_NAME)
        try:
            return await _written(ctx, heads, path.parent, progress, name=path.name)
        finally:
            heads.close()


def _is_due(ctx: Context, place: AnchorFolder) -> bool:
    files = place.files()
    return not files or ctx.clock() >= files[-1].name.taken_at + timedelta(seconds=ctx.anchor_every_seconds)


async def _next(ctx: Context, place: AnchorFolder, progress: Progress) -> Exported:
    heads = AnchoredHeads(place.path / HEADS_NAME)
    try:
        await asyncio.to_thread(catch_up, place, heads)
        exported = await _written(ctx, heads, place.path, progress)
        await asyncio.to_thread(catch_up, place, heads)
    finally:
        heads.close()
    return exported


async def _written(
    ctx: Context, heads: AnchoredHeads, folder: Path, progress: Progress, *, name: str | None = None
) -> Exported:
    """Write what the heads do not know yet as one anchor, under its own name or a given one."""
    number, before = heads.stamp
    newest = [file.name.taken_at for file in AnchorFolder(folder).files()] if name is None else []
    # A clock that was set back must not put anchors out of order.
    taken_at = max([ctx.clock().replace(microsecond=0), *newest])
    header = Header(number=number + 1, taken_at=taken_at, before=before or None)
    draft = AnchorDraft(folder)
    try:
        draft.add([header])
        transfers = refusals = 0
        async with ctx.db.unhurried_snapshot() as tx:
            books = await anchors.books(tx)
            async for lines in _changes(tx, heads, books.pop("highest_wallet"), progress):
                transfers += sum(line.upto - line.after for line in lines if isinstance(line, Span))
                refusals += sum(len(line.marks) for line in lines if isinstance(line, Refused))
                await asyncio.to_thread(draft.add, lines)
        draft.add([Totals(transfers=transfers, refusals=refusals, ledger=books)])
        digest = draft.digest
        path = folder / (name or str(AnchorName(number=header.number, taken_at=taken_at, digest=digest)))
        await asyncio.to_thread(draft.publish, path)
    finally:
        draft.discard()
    return Exported(
        path=path,
        number=header.number,
        taken_at=taken_at,
        digest=digest,
        before=header.before,
        transfers=transfers,
        refusals=refusals,
        ledger=books,
    )


async def _changes(
    tx: Transaction, heads: AnchoredHeads, highest_wallet: int, progress: Progress
) -> AsyncIterator[list[Line]]:
    """What the anchored heads do not know, in lines, a bounded number at a time."""
    end = max(highest_wallet, heads.highest)
    for lowest in range(1, end + 1, WALLETS_AT_ONCE):
        highest = min(lowest + WALLETS_AT_ONCE - 1, end)
        moved = await anchors.moved(tx, lowest, highest, heads.known(lowest, highest))
        for wallet in moved:
            _require_continued(wallet, heads)
        async for lines in _transfers(tx, moved):
            yield lines
        refused = [wallet for wallet in moved if wallet.refusals > wallet.known_refusals]
        if refused:
            async for lines in _refusals(tx, heads, refused):
                yield lines
        progress(highest, end)


def _require_continued(wallet: Moved, heads: AnchoredHeads) -> None:
    """An anchor over a history that was rewritten would make the rewriting look right: none is exported."""
    known = heads.head(wallet.wallet_id)
    lost = wallet.version is None or wallet.version < known.version or wallet.refusals < known.refusals
    rewritten = known.version > 0 and (wallet.known_head or b"")[:LINK_BYTES] != known.link
    if lost or rewritten:
        raise AnchorFailedError(
            f"The ledger does not continue its anchors: wallet {wallet.wallet_id}, anchored at transfer"
            f" {known.version} with {known.refusals} refusals, has lost or changed some. Nothing was exported: run"
            " tallybook ledger verify. After the restore of an old backup, begin a new chain in an empty folder and"
            " keep this one.",
            wallet_id=wallet.wallet_id,
        )


async def _transfers(tx: Transaction, moved: Sequence[Moved]) -> AsyncIterator[list[Line]]:
    batch: list[tuple[int, int, int]] = []
    held = 0
    for wallet in moved:
        for span in spans(wallet.wallet_id, wallet.known_version, wallet.version or 0):
            batch.append(span)
            held += span[2] - span[1]
            if held >= TRANSFERS_AT_ONCE:
                yield await _spans(tx, batch)
                batch, held = [], 0
    if batch:
        yield await _spans(tx, batch)


async def _spans(tx: Transaction, wanted: Sequence[tuple[int, int, int]]) -> list[Line]:
    lines: list[Line] = []
    for (wallet_id, after, upto), span in zip(wanted, await anchors.spans(tx, wanted), strict=True):
        if span is None or len(span.links) != (upto - after) * LINK_BYTES:
            raise AnchorFailedError(
                f"Transfers of wallet {wallet_id} between {after + 1} and {upto} are missing. Nothing was exported:"
                " run tallybook ledger verify.",
                wallet_id=wallet_id,
            )
        lines.append(span)
    return lines


async def _refusals(
    tx: Transaction, heads: AnchoredHeads, refused: Sequence[Moved]
) -> AsyncIterator[list[Line]]:
    known = [(w.wallet_id, heads.head(w.wallet_id).until, w.known_refusals) for w in refused]
    lines: list[Line] = []
    pending: list[FoundRefusal] = []
    held = 0
    async for found in anchors.refused_since(tx, known):
        if pending and (found.wallet_id != pending[0].wallet_id or len(pending) == MARKS_MAX):
            lines.append(_refused(pending))
            pending = []
            if held >= REFUSALS_AT_ONCE:
                yield lines
                lines, held = [], 0
        pending.append(found)
        held += 1
    if pending:
        lines.append(_refused(pending))
    yield lines


def _refused(found: Sequence[FoundRefusal]) -> Refused:
    return Refused(
        wallet_id=found[0].wallet_id,
        marks=[one.mark for one in found],
        total=found[0].total,
        until=found[0].latest,
    )


def _unwatched(done: int, of: int) -> None:
    """Nobody looks at the progress of a worker."""

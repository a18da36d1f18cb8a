"""Compare the ledger with its anchors, and the anchors with each other: names the first row that was rewritten."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tallybook.domain.errors import AnchorFailedError
from tallybook.domain.ledger.anchors import Header, RefusalMark, Refused, Span
from tallybook.domain.ledger.requests import Fault
from tallybook.postgres import anchors
from tallybook.postgres.pool import Transaction
from tallybook.security.anchor_files import AnchorFile, AnchorFolder, Examined, examine, lines
from tallybook.security.anchored_heads import HEADS_NAME, AnchoredHeads, newest_read
from tallybook.usecases.context import Context

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, and of how much."""

SPANS_AT_ONCE = 2_000
TRANSFERS_AT_ONCE = 16_384
MARKS_AT_ONCE = 5_000
FAULTS_MAX = 1_000
"""Wallets are compared until so many faults are found: who sees a thousand knows enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What was compared, and each fault; ``transfers_since`` were made after the newest anchor and are not covered."""

    folder: Path
    anchors: int
    newest: Header | None
    digest: str | None
    transfers: int
    refusals: int
    transfers_since: int
    faults: list[Fault]


async def compare(
    ctx: Context, place: Path, *, expected_digest: str | None = None, progress: Progress
) -> Comparison:
    """Compare the ledger with the anchors in a folder, or with one anchor's file.

    ``expected_digest`` is one that was kept elsewhere: an anchor here must have it.

    Raises:
        AnchorFailedError: there is nothing of that name.
    """
    folder = AnchorFolder(place)
    chained = folder.is_one
    if chained and not folder.files() and not newest_read(folder):
        raise AnchorFailedError("There is no anchor in this folder.", folder=str(place))
    examined, file_faults = await (_chain(folder, progress) if chained else _alone(place))
    if expected_digest is not None and expected_digest.lower() not in {one.digest for one in examined}:
        file_faults.append(f"no anchor that can be believed has the digest {expected_digest}")
    async with ctx.db.unhurried_snapshot() as tx:
        with tempfile.TemporaryDirectory(prefix="tallybook-") as scratch:
            heads = AnchoredHeads(Path(scratch) / HEADS_NAME)
            try:
                check = _Check(tx, heads, progress, whole=chained and not file_faults)
                await check.all(examined)
            finally:
                heads.close()
        there = await anchors.books(tx)
    newest = examined[-1] if examined else None
    covered = (
        newest.totals.ledger.get("transfers", 0) if newest is not None and newest.totals is not None else 0
    )
    ordered = sorted(check.faults, key=lambda fault: (fault.wallet_id, fault.version))
    return Comparison(
        folder=place,
        anchors=len(examined),
        newest=newest.header if newest else None,
        digest=newest.digest if newest else None,
        transfers=sum(one.totals.transfers for one in examined if one.totals),
        refusals=sum(one.totals.refusals for one in examined if one.totals),
        transfers_since=max(0, there["transfers"] - covered),
        # What concerns no wallet alone comes last: the first row is the one to look at.
        faults=[
            *ordered,
            *(Fault(wallet_id=0, version=0, check="anchor_file", detail=d) for d in file_faults),
        ],
    )


async def _alone(path: Path) -> tuple[list[Examined], list[str]]:
    """One anchor, outside of any chain."""
    one = await asyncio.to_thread(examine, path)
    return ([], [f"{path.name} {one.fault}"]) if one.fault else ([one], [])


async def _chain(folder: AnchorFolder, progress: Progress) -> tuple[list[Examined], list[str]]:
    """The anchors that can be believed, oldest first, and what is wrong with files."""
    files = folder.files()
    read = []
    for count, file in enumerate(files, 1):
        read.append((file, await asyncio.to_thread(examine, file.path)))
        progress("Reading anchors", count, len(files))
    faults: list[str] = []
    doubted: set[Path] = set()
    for doubtful, fault in _chain_faults(read):
        faults.append(fault)
        if doubtful is not None:
            doubted.add(doubtful.path)
    newest = newest_read(folder)
    if newest > (files[-1].name.number if files else 0):
        faults.append(f"anchor {newest} is missing: it was the newest that was exported here")
    return [one for file, one in read if file.path not in doubted], faults


def _chain_faults(read: Sequence[tuple[AnchorFile, Examined]]) -> Iterator[tuple[AnchorFile | None, str]]:
    """What is wrong with each file, and where the chain between them breaks; with the file not to be believed."""
    before: tuple[AnchorFile, Examined] | None = None
    for file, one in read:
        last = before[0].name.number if before else 0
        for number in range(last + 1, min(file.name.number, last + 20)):
            yield None, f"anchor {number} is missing: copy it back from where anchors are kept"
        if before and file.name.number == last:
            yield file, f"{file.path.name} is a second anchor {last}, beside {before[0].path.name}"
            continue
        fault = one.fault or _misnamed(file, one)
        if fault is not None:
            yield file, f"{file.path.name} {fault}"
        elif before and last + 1 == file.name.number:
            yield from _link_faults(before, file, one)
        before = (file, one)


def _misnamed(file: AnchorFile, one: Examined) -> str | None:
    assert one.header is not None
    if one.header.number != file.name.number:
        return f"says of itself that it is anchor {one.header.number}"
    if one.header.taken_at != file.name.taken_at:
        return f"says of itself that it was taken at {one.header.taken_at:%Y-%m-%d %H:%M:%S}"
    if one.digest[:16] != file.name.digest:
        return "was changed: its digest is not the one in its name"
    return None


def _link_faults(
    before: tuple[AnchorFile, Examined], file: AnchorFile, one: Examined
) -> Iterator[tuple[AnchorFile | None, str]]:
    was, prior = before
    assert one.header is not None
    if prior.fault is None and one.header.before != prior.digest:
        yield was, f"{was.path.name} was replaced: {file.path.name} follows an anchor with another digest"
    if prior.header is not None and one.header.taken_at < prior.header.taken_at:
        yield file, f"{file.path.name} was taken before the anchor that it follows"


@dataclass(slots=True)
class _Check:
    """One comparison with the ledger: anchors in order, a bounded number of rows at a time."""

    tx: Transaction
    heads: AnchoredHeads
    progress: Progress
    whole: bool
    faults: list[Fault] = field(default_factory=list)
    named: set[int] = field(default_factory=set)
    """Wallets of which the first row that does not fit is known."""
    marked: set[tuple[int, bytes]] = field(default_factory=set)
    """Refusals that are known to be gone or changed."""
    spans: list[Span] = field(default_factory=list)
    marks: list[tuple[int, RefusalMark]] = field(default_factory=list)
    done: int = 0
    total: int = 0

    async def all(self, examined: Sequence[Examined]) -> None:
        """Compare with every anchor."""
        self.total = sum(one.totals.transfers for one in examined if one.totals)
        for one in examined:
            assert one.header is not None
            await self._anchor(one.header, one.path)

    async def _anchor(self, header: Header, path: Path) -> None:
        held = 0
        for line in lines(path):
            if len(self.faults) >= FAULTS_MAX:
                return
            if isinstance(line, Span):
                self._require_continued(header, line)
                self.spans.append(line)
                held += line.upto - line.after
            elif isinstance(line, Refused):
                self.marks += [(line.wallet_id, mark) for mark in line.marks]
            if (
                held >= TRANSFERS_AT_ONCE
                or len(self.spans) >= SPANS_AT_ONCE
                or len(self.marks) >= MARKS_AT_ONCE
            ):
                await self._flush(header)
                held = 0
        await self._flush(header)

    def _require_continued(self, header: Header, span: Span) -> None:
        known = self.heads.head(span.wallet_id).version
        self.heads.read_in([span])
        if self.whole and span.after != known:
            self._add(
                span.wallet_id,
                known + 1,
                "anchor_gap",
                f"{header.called} begins after transfer {span.after}, the one before it ended at {known}",
            )

    def _add(self, wallet_id: int, version: int, check: str, detail: str) -> None:
        self.named.add(wallet_id)
        self.faults.append(Fault(wallet_id=wallet_id, version=version, check=check, detail=detail))

    async def _flush(self, header: Header) -> None:
        if self.spans:
            wanted = [(span.wallet_id, span.after, span.upto) for span in self.spans]
            for span, found in zip(self.spans, await anchors.spans(self.tx, wanted), strict=True):
                if found != span and span.wallet_id not in self.named:
                    await self._name_transfer(header, span)
                self.done += span.upto - span.after
            self.spans = []
        if self.marks:
            for place in await anchors.refusals_gone(self.tx, self.marks):
                await self._name_refusal(header, *self.marks[place])
            self.marks = []
        self.progress("Comparing with anchors", self.done, self.total)

    async def _name_transfer(self, header: Header, span: Span) -> None:
        """The first transfer of a span that is not as it was anchored."""
        there = await anchors.versions(self.tx, span.wallet_id, span.after, span.upto)
        for version in range(span.after + 1, span.upto + 1):
            if version not in there:
                await self._name_gone(header, span, version)
                return
            if not there[version].startswith(span.link(version)):
                self._add(span.wallet_id, version, "anchored_transfer", f"differs from {header.called}")
                return
        self._add(span.wallet_id, span.upto, "anchored_transfer", f"its digest differs from {header.called}")

    async def _name_gone(self, header: Header, span: Span, version: int) -> None:
        wallet_version, newest = await anchors.head(self.tx, span.wallet_id)
        anchored = f"{header.called} has it up to transfer {span.upto}"
        if wallet_version is None and newest == 0:
            self._add(span.wallet_id, version, "anchored_wallet", f"the whole wallet is gone: {anchored}")
        elif newest < version:
            self._add(
                span.wallet_id,
                version,
                "anchored_history",
                f"is gone: the wallet's history ends at transfer {newest}, {anchored}",
            )
        else:
            self._add(span.wallet_id, version, "anchored_transfer", f"is gone: {anchored}")

    async def _name_refusal(self, header: Header, wallet_id: int, mark: RefusalMark) -> None:
        if (wallet_id, mark.digest) in self.marked:
            return
        self.marked.add((wallet_id, mark.digest))
        key = await anchors.refused_key(self.tx, wallet_id, mark)
        if key is None:
            detail = f"a refusal to app {mark.app_id} is gone: {header.called} has it"
        else:
            detail = f"the refusal to app {mark.app_id} under key {key!r} differs from {header.called}"
        fault = Fault(
            wallet_id=wallet_id, version=mark.wallet_version, check="anchored_refusal", detail=detail
        )
        self.faults.append(fault)

"""How far each wallet is anchored: a table on disk, derived from the anchors and rebuilt from them at will.

One record of fixed width for each wallet id, mapped into memory: a million wallets are 32 MB of a file, none of the
process. Records hold absolute values, so that reading an anchor into the table twice is the same as once.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tallybook.domain.errors import AnchorFailedError
from tallybook.domain.ledger.anchors import (
    LINK_BYTES,
    Line,
    Refused,
    Span,
    from_microseconds,
    microseconds,
)
from tallybook.security.anchor_files import AnchorFolder, examine, lines

HEADS_NAME = "heads.cache"

# Which anchor was read last: a mark of this form, its number, the raw digest.
_STAMP = struct.Struct("<8sq32s16x")
_FORM = b"heads/1\0"
# Version, refusals, when the newest refusal was made, the link of the head.
_RECORD = struct.Struct("<qqq6s2x")
_NOTHING = _RECORD.pack(0, 0, 0, bytes(LINK_BYTES))
_GROWTH = 1 << 20


@dataclass(frozen=True, slots=True)
class Head:
    """How far one wallet is anchored."""

    version: int
    refusals: int
    until: datetime
    link: bytes


class AnchoredHeads:
    """The table; closed with ``close``."""

    def __init__(self, path: Path) -> None:
        """Open it, empty if it is new or of another form."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        size = os.fstat(self._file).st_size
        if size < _STAMP.size:
            os.ftruncate(self._file, _STAMP.size + _GROWTH)
        self._map = mmap.mmap(self._file, 0)
        if self._map[:8] != _FORM:
            self.clear()

    def close(self) -> None:
        """Let go of the file."""
        self._map.close()
        os.close(self._file)

    @property
    def stamp(self) -> tuple[int, str]:
        """Number and digest of the anchor that was read last; 0 before the first."""
        _, number, digest = _STAMP.unpack_from(self._map)
        return number, digest.hex() if number else ""

    def clear(self) -> None:
        """Forget everything."""
        self._map.close()
        os.ftruncate(self._file, 0)
        os.ftruncate(self._file, _STAMP.size + _GROWTH)
        self._map = mmap.mmap(self._file, 0)
        _STAMP.pack_into(self._map, 0, _FORM, 0, b"")

    def head(self, wallet_id: int) -> Head:
        """How far a wallet is anchored; zeros when it is not."""
        place = self._place(wallet_id)
        if place + _RECORD.size > len(self._map):
            return _head(_NOTHING)
        return _head(self._map[place : place + _RECORD.size])

    def known(self, lowest: int, highest: int) -> list[tuple[int, int, int]]:
        """The anchored wallets between two ids: wallet, version, refusals."""
        taken = self._map[self._place(lowest) : self._place(highest + 1)]
        whole = taken[: len(taken) // _RECORD.size * _RECORD.size]
        records = enumerate(_RECORD.iter_unpack(whole), lowest)
        return [
            (wallet, version, refusals) for wallet, (version, refusals, *_) in records if version or refusals
        ]

    @property
    def highest(self) -> int:
        """No wallet above this id is anchored."""
        return (len(self._map) - _STAMP.size) // _RECORD.size

    def read_in(self, lines: Iterable[Line]) -> None:
        """Take over what an anchor says."""
        for line in lines:
            if isinstance(line, Span):
                self._write(line.wallet_id, version=line.upto, link=line.head[:LINK_BYTES])
            elif isinstance(line, Refused):
                self._write(line.wallet_id, refusals=line.total, until=line.until)

    def mark(self, number: int, digest: str) -> None:
        """Say which anchor was read in; only after this does it count, also after a crash."""
        self._map.flush()
        _STAMP.pack_into(self._map, 0, _FORM, number, bytes.fromhex(digest))
        self._map.flush()

    def _write(
        self,
        wallet_id: int,
        *,
        version: int | None = None,
        link: bytes | None = None,
        refusals: int | None = None,
        until: datetime | None = None,
    ) -> None:
        place = self._place(wallet_id)
        if place + _RECORD.size > len(self._map):
            self._grow(place + _RECORD.size)
        had = _RECORD.unpack_from(self._map, place)
        _RECORD.pack_into(
            self._map,
            place,
            had[0] if version is None else version,
            had[1] if refusals is None else refusals,
            had[2] if until is None else microseconds(until),
            had[3] if link is None else link,
        )

    def _grow(self, size: int) -> None:
        self._map.close()
        os.ftruncate(self._file, size + _GROWTH)
        self._map = mmap.mmap(self._file, 0)

    @staticmethod
    def _place(wallet_id: int) -> int:
        return _STAMP.size + wallet_id * _RECORD.size


def _head(record: bytes) -> Head:
    version, refusals, until, link = _RECORD.unpack(record)
    return Head(version=version, refusals=refusals, until=from_microseconds(until), link=link)


def newest_read(folder: AnchorFolder) -> int:
    """The number of the newest anchor that was exported into a folder, by the table beside it; 0 if there is none."""
    try:
        with (folder.path / HEADS_NAME).open("rb") as file:
            form, number, _ = _STAMP.unpack(file.read(_STAMP.size))
    except (OSError, struct.error):
        return 0
    return int(number) if form == _FORM else 0


def catch_up(folder: AnchorFolder, heads: AnchoredHeads) -> None:
    """Read in the anchors of the folder that the table does not know yet: usually none.

    Raises:
        AnchorFailedError: one of them is missing or was changed.
    """
    files = folder.files()
    number, digest = heads.stamp
    if any(file.name.number == number and file.name.digest != digest[:16] for file in files):
        heads.clear()
        number, digest = 0, ""
    for file in files:
        if file.name.number <= number:
            continue
        if file.name.number != number + 1:
            raise AnchorFailedError(
                f"Anchor {number + 1} is missing: copy it back, or export into an empty folder, which begins a new"
                " chain.",
                folder=str(folder.path),
            )
        found = examine(file.path)
        if found.fault is not None or found.header is None or found.header.before != (digest or None):
            raise AnchorFailedError(
                f"{file.path.name} {found.fault or 'does not follow the one before it'}: copy the original back, or"
                " export into an empty folder, which begins a new chain.",
                folder=str(folder.path),
            )
        number, digest = file.name.number, found.digest
        heads.read_in(lines(file.path))
        heads.mark(number, digest)

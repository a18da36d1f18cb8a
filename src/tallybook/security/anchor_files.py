"""Anchors as files: written whole or not at all, chained, and read with distrust.

What stands in them is ``domain/ledger/anchors.py``; when one is exported and what it is compared with is up to the
use cases.
"""

from __future__ import annotations

import errno
import fcntl
import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tallybook.domain.errors import AnchorFailedError
from tallybook.domain.ledger.anchors import (
    LINE_BYTES_MAX,
    AnchorName,
    Header,
    Line,
    Refused,
    Span,
    Totals,
    parsed,
    sealed,
    written,
)

_UNREADABLE = (OSError, EOFError, ValueError, zlib.error)
# What nobody should edit, nobody can by accident.
_MODE = 0o444
_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


@dataclass(frozen=True, slots=True)
class AnchorFile:
    """An anchor in a folder, by its name; nothing of it is read yet."""

    path: Path
    name: AnchorName


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What one file turned out to be; ``fault`` says why it cannot be believed."""

    path: Path
    header: Header | None
    digest: str
    totals: Totals | None
    fault: str | None


class AnchorFolder:
    """A folder of anchors: one chain."""

    def __init__(self, path: Path) -> None:
        """Nothing is opened or made yet."""
        self.path = path

    @property
    def is_one(self) -> bool:
        """Whether it is a folder: one anchor alone is a file.

        Raises:
            AnchorFailedError: it is neither.
        """
        if not self.path.exists():
            raise AnchorFailedError("There is no such folder or file.", place=str(self.path))
        return self.path.is_dir()

    def files(self) -> list[AnchorFile]:
        """The anchors that are there, in the order of their numbers.

        Raises:
            AnchorFailedError: the folder cannot be read.
        """
        with _told(self.path):
            entries = list(self.path.iterdir()) if self.path.exists() else []
        named = ((entry, AnchorName.parse(entry.name)) for entry in entries)
        found = [AnchorFile(entry, name) for entry, name in named if name is not None]
        return sorted(found, key=lambda file: (file.name.number, file.name.taken_at, file.name.digest))

    @contextmanager
    def exporting(self) -> Iterator[bool]:
        """The right to add the next anchor, or false while another process has it; removes drafts of those that died.

        Raises:
            AnchorFailedError: the folder cannot be written.
        """
        with _told(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if not _locked(lock):
                yield False
                return
            for left in self.path.glob(".draft-*"):
                left.unlink(missing_ok=True)
            yield True
        finally:
            os.close(lock)


def _locked(lock: int) -> bool:
    """Whether the lock is ours now; the kernel gives it back when this process ends, in whatever way."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class AnchorDraft:
    """An anchor that is being written beside its place; ``publish`` puts it there, ``discard`` leaves no trace."""

    def __init__(self, folder: Path) -> None:
        """Begin one; no reader takes its name for an anchor's.

        Raises:
            AnchorFailedError: the folder cannot be written.
        """
        self._path = folder / f".draft-{os.getpid()}"
        self._hash = hashlib.sha256()
        with _told(folder):
            self._raw = self._path.open("wb")
            self._file = gzip.GzipFile(filename="", mode="wb", fileobj=self._raw, compresslevel=6, mtime=0)

    def add(self, lines: list[Line]) -> None:
        """Append lines."""
        text = b"".join(map(written, lines))
        self._hash.update(text)
        with _told(self._path.parent):
            self._file.write(text)

    @property
    def digest(self) -> str:
        """The SHA-256 of the lines so far: of all of them, it is the anchor's digest."""
        return self._hash.hexdigest()

    def publish(self, place: Path) -> None:
        """Seal it and give it its name, in one step that either happened or did not, whatever dies.

        Raises:
            AnchorFailedError: there is a file of that name, or it cannot be written.
        """
        with _told(place.parent):
            self._file.write(sealed(self.digest))
            self._file.close()
            self._raw.flush()
            os.fchmod(self._raw.fileno(), _MODE)
            os.fsync(self._raw.fileno())
            self._raw.close()
            _give_name(self._path, place)
            folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def discard(self) -> None:
        """Remove what was not published; harmless after ``publish``."""
        self._raw.close()
        self._path.unlink(missing_ok=True)


def require_free(place: Path) -> None:
    """Before a long export: an anchor never replaces a file.

    Raises:
        AnchorFailedError: there is one of that name.
    """
    if place.exists():
        raise AnchorFailedError("There is a file of that name already.", file=str(place))


def _give_name(draft: Path, place: Path) -> None:
    """Like a rename that never replaces a file."""
    try:
        os.link(draft, place)
    except OSError as problem:
        if problem.errno not in _NO_HARD_LINKS:
            raise
        if place.exists():
            raise FileExistsError(errno.EEXIST, "exists already", str(place)) from problem
        draft.rename(place)
    else:
        draft.unlink()


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise AnchorFailedError(
            f"The folder of anchors cannot be used: {problem.strerror or problem}.", folder=str(folder)
        ) from problem


def lines(path: Path) -> Iterator[Line]:
    """The lines of an anchor that was examined before, its seal aside."""
    for text in _texts(path):
        line = parsed(text)
        if not isinstance(line, str):
            yield line


def examine(path: Path) -> Examined:
    """Read an anchor once: whether it is whole, sealed and says of itself what is in it."""
    reading = _Reading()
    try:
        for text in _texts(path):
            reading.take(text)
    except _UNREADABLE as problem:
        return Examined(
            path=path, header=reading.header, digest="", totals=None, fault=f"cannot be read: {problem}"
        )
    digest = reading.code.hexdigest()
    return Examined(
        path=path, header=reading.header, digest=digest, totals=reading.totals, fault=reading.fault(digest)
    )


@dataclass(slots=True)
class _Reading:
    """An anchor as far as it was read: header, lines, totals, seal, in this order."""

    code: hashlib._Hash = field(default_factory=hashlib.sha256)
    header: Header | None = None
    totals: Totals | None = None
    seal: str | None = None
    transfers: int = 0
    refusals: int = 0

    def take(self, text: bytes) -> None:
        """The next line.

        Raises:
            ValueError: it is no line of an anchor, or not in its place.
        """
        line = parsed(text)
        begins = isinstance(line, Header)
        ends = isinstance(line, str)
        if self.seal is not None or begins != (self.header is None) or ends != (self.totals is not None):
            raise ValueError("lines out of order")
        match line:
            case str():
                self.seal = line
                return
            case Header():
                self.header = line
            case Span():
                self.transfers += line.upto - line.after
            case Refused():
                self.refusals += len(line.marks)
            case Totals():
                self.totals = line
        self.code.update(text)

    def fault(self, digest: str) -> str | None:
        """Why what was read to the end cannot be believed."""
        if self.seal is None or self.totals is None:
            return "ends too early"
        if self.seal != digest:
            return "was changed: its lines do not give the digest that it ends with"
        if (self.totals.transfers, self.totals.refusals) != (self.transfers, self.refusals):
            return "counts other lines than it has"
        return None


def _texts(path: Path) -> Iterator[bytes]:
    with gzip.open(path, "rb") as stream:
        while text := stream.readline(LINE_BYTES_MAX + 1):
            if len(text) > LINE_BYTES_MAX:
                raise ValueError("a line that is too long")
            yield text

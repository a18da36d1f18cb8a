"""What an anchor says, and how its lines are written: the format of docs/anchors.md.

An anchor repeats, outside the database, what the chain said at one moment. Files are the business of
``security/anchor_files.py``, the ledger's rows that of ``postgres/anchors.py``.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

FORMAT = "tallybook-anchor/1"
LINK_BYTES = 6
"""How much of a transfer's digest is kept. It names the row; the whole digest at the end of a span proves it."""
REFUSAL_BYTES = 16
"""How much of a refusal's digest is kept: refusals have no chain, so this must prove it alone."""
KEY_BYTES = 6
"""How much of the digest of a refusal's key is kept: it tells a changed answer from one that is gone."""
DIGEST_BYTES = 32
SPAN_MAX = 4096
"""Transfers in one line at the most, so that readers need not trust a line's length."""
MARKS_MAX = 1000
"""Refusals in one line at the most."""
LINE_BYTES_MAX = 1 << 20
WALLET_MAX = 1 << 32
"""The highest wallet id that a reader takes; tables by wallet id are made that large."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NAME = re.compile(r"anchor-(\d{6,})-(\d{8}T\d{6}Z)-([0-9a-f]{16})\.jsonl\.gz")
_STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorName:
    """What the name of an anchor's file tells: its place in the chain, when, and how its digest begins."""

    number: int
    taken_at: datetime
    digest: str

    @classmethod
    def parse(cls, text: str) -> AnchorName | None:
        """The name, or None when it is not an anchor's."""
        found = _NAME.fullmatch(text)
        if found is None:
            return None
        try:
            taken_at = datetime.strptime(found[2], _STAMP).replace(tzinfo=UTC)
        except ValueError:
            return None
        return cls(number=int(found[1]), taken_at=taken_at, digest=found[3])

    def __str__(self) -> str:
        return f"anchor-{self.number:06d}-{self.taken_at.strftime(_STAMP)}-{self.digest[:16]}.jsonl.gz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The first line: which anchor this is, and the digest of the one before it."""

    number: int
    taken_at: datetime
    before: str | None

    @property
    def called(self) -> str:
        """As sentences name it."""
        return f"anchor {self.number} of {self.taken_at:%Y-%m-%d %H:%M:%S}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Transfers of one wallet, behind ``after`` up to ``upto``: a link of each, the whole digest of the last."""

    wallet_id: int
    after: int
    upto: int
    links: bytes
    head: bytes

    def link(self, version: int) -> bytes:
        """The link of a transfer of this span."""
        place = (version - self.after - 1) * LINK_BYTES
        return self.links[place : place + LINK_BYTES]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalMark:
    """One refusal: whose key, after which transfer, a digest of the key, a digest of the answer."""

    app_id: int
    wallet_version: int
    key: bytes
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Refusals of one wallet since the anchor before; ``total`` are anchored now, the newest made at ``until``."""

    wallet_id: int
    marks: Sequence[RefusalMark]
    total: int
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The last line but one: how much this anchor adds, and the whole ledger at its moment."""

    transfers: int
    refusals: int
    ledger: dict[str, int]


Line = Header | Span | Refused | Totals


def microseconds(time: datetime) -> int:
    """A time as whole microseconds since 1970, without going through a float."""
    return (time - _EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    """The time of ``microseconds``."""
    return _EPOCH + count * _MICROSECOND


def spans(wallet_id: int, after: int, upto: int) -> Iterator[tuple[int, int, int]]:
    """A wallet's new transfers in pieces that fit a line: wallet, after, upto."""
    for start in range(after, upto, SPAN_MAX):
        yield wallet_id, start, min(start + SPAN_MAX, upto)


def written(line: Line) -> bytes:
    """A line as it stands in the file, with its end."""
    return json.dumps(_members(line), separators=(",", ":")).encode() + b"\n"


def sealed(digest: str) -> bytes:
    """The last line: the SHA-256 of all lines before it, which is the anchor's digest."""
    return json.dumps({"sha256": digest}, separators=(",", ":")).encode() + b"\n"


def _members(line: Line) -> dict[str, Any]:
    match line:
        case Header():
            return {
                "format": FORMAT,
                "number": line.number,
                "taken_at": line.taken_at.isoformat(),
                "before": line.before,
            }
        case Span():
            return {
                "wallet": line.wallet_id,
                "after": line.after,
                "upto": line.upto,
                "links": _text(line.links),
                "head": _text(line.head),
            }
        case Refused():
            return {
                "wallet": line.wallet_id,
                "refused": [
                    [mark.app_id, mark.wallet_version, _text(mark.key), _text(mark.digest)]
                    for mark in line.marks
                ],
                "total": line.total,
                "until": microseconds(line.until),
            }
        case Totals():
            return {"transfers": line.transfers, "refusals": line.refusals, "ledger": line.ledger}


def parsed(text: bytes) -> Line | str:
    """A line of an anchor; the seal comes as its digest.

    Raises:
        ValueError: it is none.
    """
    try:
        return _line(json.loads(text))
    except (KeyError, TypeError, OverflowError, RecursionError) as problem:
        raise ValueError(f"not a line of an anchor: {problem}") from problem


def _line(said: dict[str, Any]) -> Line | str:
    if "sha256" in said:
        return str(said["sha256"])
    if "format" in said:
        _require(said["format"] == FORMAT, f"format {said['format']} is not {FORMAT}")
        taken_at = datetime.fromisoformat(said["taken_at"])
        _require(taken_at.tzinfo is not None, "a time without a zone")
        return Header(number=_count(said["number"]), taken_at=taken_at, before=said["before"])
    if "links" in said:
        span = Span(
            wallet_id=_wallet(said["wallet"]),
            after=_count(said["after"]),
            upto=_count(said["upto"]),
            links=_bytes(said["links"]),
            head=_bytes(said["head"]),
        )
        length = span.upto - span.after
        _require(0 < length <= SPAN_MAX and len(span.links) == length * LINK_BYTES, "links that do not fit")
        _require(len(span.head) == DIGEST_BYTES, "a head that is no digest")
        return span
    if "refused" in said:
        return Refused(
            wallet_id=_wallet(said["wallet"]),
            marks=[
                RefusalMark(app_id=int(app), wallet_version=int(at), key=_bytes(key), digest=_bytes(digest))
                for app, at, key, digest in said["refused"]
            ],
            total=_count(said["total"]),
            until=from_microseconds(int(said["until"])),
        )
    ledger = {str(name): int(count) for name, count in said["ledger"].items()}
    return Totals(transfers=_count(said["transfers"]), refusals=_count(said["refusals"]), ledger=ledger)


def _require(fits: bool, otherwise: str) -> None:  # noqa: FBT001 - a condition and its sentence
    if not fits:
        raise ValueError(otherwise)


def _count(value: Any) -> int:
    _require(type(value) is int and 0 <= value < 1 << 63, f"{value!r} is no count")
    return int(value)


def _wallet(value: Any) -> int:
    _require(0 < _count(value) <= WALLET_MAX, f"{value!r} is no wallet")
    return int(value)


def _text(value: bytes) -> str:
    return b64encode(value).decode()


def _bytes(text: str) -> bytes:
    return b64decode(text, validate=True)

"""Holds what a sandbox's journal kept against both type sources: every answer and every event that was sent.

What was told in another version than the pinned one is counted and left out. Of what is alike to the types
(``outlines``) one is checked. Which lines belong to which test is known from where the journal ended when it began.
"""

from __future__ import annotations

import json
import re
import time
from bisect import bisect_right
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from http import HTTPStatus
from pathlib import Path

from contract.conforms import deviations
from contract.desk import answer_deviations, refusal_deviations
from contract.node_types import ENVELOPES, Json
from contract.outlines import outline

from stripe_sandbox import spec
from stripe_sandbox.kinds import API_VERSION

_ID = re.compile(r"/[a-z]+_[A-Za-z0-9_]{10,}")
_BODY = b', "body": '
_NOBODY = "nothing that a test asked for"


@dataclass
class Verdict:
    """What was looked at, and what was wrong with it."""

    answers: int = 0
    events: int = 0
    older: int = 0
    """Answers and events of other versions, which are not checked here."""
    different: int = 0
    """How many of all had to be checked, the others being like one of them."""
    seconds: float = 0.0
    """What it added to the run: processes that judge beside each other count as one."""
    deviations: list[str] = field(default_factory=list)

    def __add__(self, other: Verdict) -> Verdict:
        """Return both as one."""
        mine, theirs = vars(self), vars(other)
        both = {name: value + theirs[name] for name, value in mine.items()}
        return Verdict(**both | {"seconds": max(self.seconds, other.seconds)})


@dataclass
class Marks:
    """Where in a journal each test began."""

    offsets: list[int] = field(default_factory=list)
    tests: list[str] = field(default_factory=list)

    def begin(self, test: str, offset: int) -> None:
        """Note that a test begins."""
        self.offsets.append(offset)
        self.tests.append(test)

    def at(self, offset: int) -> str:
        """Return the test that ran when a line was written."""
        place = bisect_right(self.offsets, offset)
        return self.tests[place - 1] if place else _NOBODY


def judge(journal: Path, marks: Marks) -> Verdict:
    """Check a whole journal; raises `TypesMissingError` where the declarations cannot be had."""
    begun = time.monotonic()
    judging = _Judging(marks)
    offset = 0
    with journal.open("rb") as lines:
        for line in lines:
            judging.look_at(line, offset)
            offset += len(line)
    judging.verdict.seconds = time.monotonic() - begun
    return judging.verdict


@dataclass
class _Judging:
    """A walk through a journal; remembers what it has seen."""

    marks: Marks
    verdict: Verdict = field(default_factory=Verdict)
    _texts: set[tuple[str, bytes]] = field(default_factory=set)
    _outlines: set[Hashable] = field(default_factory=set)
    _told: set[str] = field(default_factory=set)

    def look_at(self, line: bytes, offset: int) -> None:
        """Check one line; one that was cut off when its writer was killed never reached anybody whole."""
        head, found, body = line.partition(_BODY)
        if not found or not line.endswith(b"}\n"):
            return
        try:
            about: Json = json.loads(head + b"}")
            told: Json = json.loads(body[:-2])
        except ValueError:
            # Two lines that became one when the first one's writer was killed.
            return
        if about["version"] != API_VERSION:
            self.verdict.older += 1
            return
        if about["kind"] == "event":
            self.verdict.events += 1
        else:
            self.verdict.answers += 1
        place = _place(about)
        text = (place, blake2b(body, digest_size=16).digest())
        if text in self._texts:
            return
        self._texts.add(text)
        for part in _parts(told):
            seen = (place, outline(part))
            if seen not in self._outlines:
                self._outlines.add(seen)
                self.verdict.different += 1
                self._tell(place, self.marks.at(offset), _problems(about, part))

    def _tell(self, place: str, test: str, problems: list[str]) -> None:
        for problem in problems:
            line = f"{place}: {problem}"
            if line not in self._told:
                self._told.add(line)
                self.verdict.deviations.append(f"{line}\n    first told in {test}")


def _place(about: Json) -> str:
    """Return what was asked: method, path with its ids left open, and status."""
    if about["kind"] == "event":
        return "event sent"
    return f"{about['method']} {_template(about['method'], about['path'])} {about['status']}"


@cache
def _template(method: str, path: str) -> str:
    route = spec.match(method, path)
    return route.template if route else _ID.sub("/{}", path)


def _parts(body: Json) -> Iterator[Json]:
    """Return a list's entries each in the list alone, and the list without any; else the body itself."""
    if body.get("object") not in ENVELOPES:
        yield body
        return
    yield body | {"data": []}
    for entry in body["data"]:
        yield body | {"data": [entry]}


def _problems(about: Json, body: Json) -> list[str]:
    if about["kind"] == "event":
        return deviations(body)
    if about["status"] != HTTPStatus.OK:
        return (
            refusal_deviations(body["error"]) if list(body) == ["error"] else [f"not an error: {list(body)}"]
        )
    found = deviations(body)
    if found or spec.match(about["method"], about["path"]) is None:
        return found
    return answer_deviations(about["method"], about["path"], body)

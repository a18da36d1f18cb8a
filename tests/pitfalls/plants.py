"""A guard that is taken out of a copy of the sources, and the named tests that must notice; the tree stays as it is.

A text that is not found exactly once fails the plant, so that it cannot become harmless unnoticed.
"""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tidy import tree

PITFALLS = range(1, 26)
SOURCES = tree.ROOT / "src"
_NAME = re.compile(r"test_pitfall_(\d\d)_\w+")


@dataclass(frozen=True, slots=True)
class Change:
    """In one file below ``src``: ``old``, which must be there exactly once, becomes ``new``."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Plant:
    """One guard of a pitfall removed: a sentence about it, and what it is made of.

    ``caught`` names each test that must fail then, with a piece of what its failure says: a plant that breaks something
    else would turn a test red too, and prove nothing. Where guards back each other up, all of them are removed.
    """

    pitfall: int
    guard: str
    caught: Mapping[str, str]
    changes: tuple[Change, ...]


def misplaced(plant: Plant, sources: Path = SOURCES) -> list[str]:
    """The changes of a plant that do not find their place, or find more than one."""
    faults = []
    for change in plant.changes:
        found = (sources / change.path).read_text(encoding="utf-8").count(change.old)
        if found != 1:
            faults.append(f"{plant.pitfall}, {change.path}: {change.old!r} is there {found} times")
    return faults


def planted(plant: Plant, place: Path) -> Path:
    """A copy of the sources in ``place`` without the guard; gives where it is."""
    copy = place / "src"
    # With what is compiled already: it is found by the times of the files, which are kept.
    shutil.copytree(SOURCES, copy)
    faults = misplaced(plant, copy)
    assert not faults, faults
    for change in plant.changes:
        path = copy / change.path
        text = path.read_text(encoding="utf-8").replace(change.old, change.new)
        if path.suffix == ".py":
            compile(text, change.path, "exec")
        path.write_text(text, encoding="utf-8")
    return copy


def named_tests() -> dict[str, str]:
    """Every test that is named after a pitfall, with its file."""
    return {
        node.name: path
        for path in tree.python_files("tests")
        for node in tree.functions(tree.parsed(path))
        if _NAME.fullmatch(node.name)
    }


def number_of(test: str) -> int:
    """Which pitfall a test is named after."""
    found = _NAME.fullmatch(test)
    assert found is not None, test
    return int(found[1])


def by_pitfall(tests: Iterable[str]) -> dict[int, set[str]]:
    """Tests by the pitfall that they are named after."""
    found: dict[int, set[str]] = defaultdict(set)
    for test in tests:
        found[number_of(test)].add(test)
    return dict(found)


def unguarded(plants: Iterable[Plant], tests: Iterable[str]) -> list[str]:
    """What is missing: a pitfall without a test, a test without a plant of its pitfall, a plant of an unknown test."""
    caught: dict[int, set[str]] = defaultdict(set)
    for plant in plants:
        caught[plant.pitfall] |= plant.caught.keys()
    known = by_pitfall(tests)
    every = set().union(*known.values())
    return [
        *(f"{number}: no test is named after it" for number in PITFALLS if number not in known),
        *(
            f"{test}: no plant of {number} turns it red"
            for number, named in known.items()
            for test in sorted(named - caught[number])
        ),
        *(f"{test}: there is no such test" for test in sorted(set().union(*caught.values()) - every)),
        *(f"{number}: there is no such pitfall" for number in sorted({*known, *caught} - {*PITFALLS})),
    ]

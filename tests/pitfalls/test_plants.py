"""Each pitfall has its tests, each of these a guard that can be taken out, and the document says which."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pitfalls import plants
from pitfalls.all_planted import PLANTS
from pitfalls.plants import Change, Plant
from pitfalls.trying import Ended, try_plant, verdict
from tidy import checks, tree

DOCUMENT = "docs/pitfalls.md"
EXAMPLE = "test_pitfall_07_a_delayed_payment_grants_when_it_succeeds_and_not_before"
_FILES = re.compile(r"`src/([\w./]+)`")
_TESTS = re.compile(r"`(test_\w+)`")


def rows_amiss(rows: Sequence[Sequence[str]], planted: Sequence[Plant], tests: Sequence[str]) -> list[str]:
    """Where the table of the document differs from what there is: numbers, files of guards, tests."""
    faults = []
    if [row[0] for row in rows] != [str(number) for number in plants.PITFALLS]:
        faults.append("the pitfalls are not numbered 1 to 25")
    for row in rows:
        own = [plant for plant in planted if str(plant.pitfall) == row[0]]
        files = {change.path for plant in own for change in plant.changes}
        named = {test for test in tests if str(plants.number_of(test)) == row[0]}
        faults += [f"{row[0]}: {path} is not named" for path in sorted(files - {*_FILES.findall(row[2])})]
        faults += [f"{row[0]}: {test}" for test in sorted(named ^ {*_TESTS.findall(row[3])})]
    return faults


def _rows() -> list[list[str]]:
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in tree.text(DOCUMENT).splitlines()
        if re.match(r"\| \d", line)
    ]
    assert rows
    return rows


def test_every_plant_finds_its_place_exactly_once() -> None:
    faults = [fault for plant in PLANTS for fault in plants.misplaced(plant)]

    assert not faults, checks.joined(faults)


def test_each_pitfall_has_tests_and_each_of_them_a_plant() -> None:
    faults = plants.unguarded(PLANTS, plants.named_tests())

    assert not faults, checks.joined(faults)


def test_each_plant_says_what_its_tests_must_say() -> None:
    silent = [test for plant in PLANTS for test, said in plant.caught.items() if not said]

    assert not silent, checks.joined(silent)


def test_the_document_names_the_guards_and_the_tests() -> None:
    faults = rows_amiss(_rows(), PLANTS, [*plants.named_tests()])

    assert not faults, checks.joined(faults)


def test_what_is_amiss_with_plants_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n", encoding="utf-8")
    twice, never = Change("a.py", "x = 1", "x = 2"), Change("a.py", "y", "z")
    plant = Plant(1, "A guard.", {"test_pitfall_01_a_thing": "1"}, (twice, never))

    placed = plants.misplaced(plant, tmp_path)
    missing = plants.unguarded([plant], ["test_pitfall_02_another_thing"])
    rows = rows_amiss([["1", "", "`src/b.py`", "`test_pitfall_01_no_thing`"]], [plant], [*plant.caught])

    assert ["2 times" in placed[0], "0 times" in placed[1]] == [True, True]
    assert "1: no test is named after it" in missing
    assert "test_pitfall_02_another_thing: no plant of 2 turns it red" in missing
    assert "test_pitfall_01_a_thing: there is no such test" in missing
    assert rows == [
        "the pitfalls are not numbered 1 to 25",
        "1: a.py is not named",
        "1: test_pitfall_01_a_thing",
        "1: test_pitfall_01_no_thing",
    ]


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        (Ended("t", ran=False), "it did not run"),
        (Ended("t", ran=True), "it stays green"),
        (Ended("t", ran=True, said="failure: NameError: x"), "the plant is broken"),
        (Ended("t", ran=True, said="error: no database: assert 200 == 100"), "the plant is broken"),
        (Ended("t", ran=True, said="failure: assert 0 == 100"), "it says something else"),
        (Ended("t", ran=True, said="failure: assert 200 == 100"), ""),
    ],
)
def test_only_a_test_that_fails_for_the_guard_is_red(ended: Ended, said: str) -> None:
    found = verdict(Plant(1, "A guard.", {"t": "200 == 100"}, ()), "t", ended)

    assert found.startswith(said) and bool(found) == bool(said)


@pytest.mark.timeout(600)
def test_a_guard_that_is_removed_turns_its_test_red(postgres_url: str, tmp_path: Path) -> None:
    """One of them, as an example; ``make pitfalls`` removes all."""
    [plant] = [plant for plant in PLANTS if EXAMPLE in plant.caught]

    found = try_plant(plant, tmp_path, postgres_url)
    unplanted = try_plant(replace(plant, changes=()), tmp_path / "sound", postgres_url)

    assert found == {EXAMPLE: ""}
    assert unplanted == {EXAMPLE: "it stays green"}

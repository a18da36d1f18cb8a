"""Takes each guard out and sees its tests fail: ``python -m pitfalls.run [number …]`` in ``tests/``.

First all of the tests run on the sources as they are: a test that fails there proves nothing either.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from pitfalls.all_planted import PLANTS
from pitfalls.plants import SOURCES, Plant, misplaced
from pitfalls.trying import Ended, try_plant, try_tests
from postgres_server import running_server
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

_WIDTH = 200


def _console() -> Console:
    """Where the table goes: wide enough for it where there is no terminal."""
    found = Console()
    return found if found.is_terminal else Console(width=_WIDTH)


def _sound(plants: Sequence[Plant], url: str, workers: int) -> dict[str, Ended]:
    tests = sorted({test for plant in plants for test in plant.caught})
    spread = ("-n", str(workers), "--dist", "worksteal") if workers > 1 else ()
    with tempfile.TemporaryDirectory(prefix="tallybook-pitfalls-") as name:
        return try_tests(tests, SOURCES, Path(name), url, *spread)


def _tried(plant: Plant, url: str) -> dict[str, str]:
    with tempfile.TemporaryDirectory(prefix="tallybook-pitfalls-") as name:
        return try_plant(plant, Path(name), url)


def _every(
    plants: Sequence[Plant], url: str, workers: int, progress: Progress
) -> list[tuple[Plant, dict[str, str]]]:
    task = progress.add_task("guards removed", total=len(plants))
    found = []
    with ThreadPoolExecutor(workers) as threads:
        running = {threads.submit(_tried, plant, url): plant for plant in plants}
        for done in as_completed(running):
            plant, verdicts = running[done], done.result()
            found.append((plant, verdicts))
            said = [f"{test}: {verdict}" for test, verdict in verdicts.items() if verdict]
            lines = [f"{plant.pitfall:>2}  {plant.guard}", *(said or ["red"])]
            progress.console.print(*lines, sep="\n    ", markup=False)
            progress.advance(task)
    return found


def _amiss(said: str) -> str:
    return f"✗ {escape(said[:120])}"


def _table(tried: list[tuple[Plant, dict[str, str]]], sound: dict[str, Ended]) -> tuple[Table, int]:
    """The table, and how much of it is amiss."""
    table = Table("pitfall", "guard removed", title="Pitfalls", show_lines=True)
    for name in ("test", "sound", "planted"):
        table.add_column(name, overflow="fold")
    amiss = 0
    for plant, verdicts in sorted(tried, key=lambda one: PLANTS.index(one[0])):
        fine = [sound[test].passed and not verdict for test, verdict in verdicts.items()]
        amiss += fine.count(False)
        table.add_row(
            str(plant.pitfall),
            plant.guard,
            "\n".join(verdicts),
            "\n".join("green" if sound[test].passed else _amiss(sound[test].said) for test in verdicts),
            "\n".join(_amiss(verdict) if verdict else "red" for verdict in verdicts.values()),
        )
    return table, amiss


def main() -> int:
    """Try them, and print what was seen; 1 if a plant does not find its place or a test does not notice."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("pitfalls", nargs="*", type=int, help="numbers; all of them by default")
    asked.add_argument("--workers", type=int, default=2)
    given = asked.parse_args()
    plants = [plant for plant in PLANTS if not given.pitfalls or plant.pitfall in given.pitfalls]
    faults = [fault for plant in plants for fault in misplaced(plant)]
    console = _console()
    if faults or not plants:
        console.print(*(faults or ["There is no such pitfall."]), sep="\n", markup=False)
        return 1
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with running_server() as url, Progress(*columns, console=console) as progress:
        task = progress.add_task("on the sources as they are", total=1)
        sound = _sound(plants, url, given.workers)
        progress.advance(task)
        tried = _every(plants, url, given.workers, progress)
    table, amiss = _table(tried, sound)
    console.print(table)
    console.print(f"{len(plants)} guards removed, {amiss} tests did not do what they are for.")
    return 1 if amiss else 0


if __name__ == "__main__":
    sys.exit(main())

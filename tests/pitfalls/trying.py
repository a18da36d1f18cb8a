"""Runs tests in a process of their own on a copy of the sources, and says how each of them ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from pitfalls.plants import Plant, named_tests, planted
from tidy import tree

_SECONDS = 600
# A plant that cannot even run removes no guard.
_BROKEN = (
    "NameError",
    "SyntaxError",
    "IndentationError",
    "ImportError",
    "ModuleNotFoundError",
    "UnboundLocalError",
)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a test ended: ``said`` is empty if it passed, else what its failures said."""

    test: str
    ran: bool
    said: str = ""

    @property
    def passed(self) -> bool:
        """Whether it ran, and nothing failed."""
        return self.ran and not self.said


def try_tests(
    tests: Iterable[str], sources: Path, place: Path, database_url: str, *options: str
) -> dict[str, Ended]:
    """Run tests with the sources in ``sources``, on a PostgreSQL that runs; reports are written to ``place``."""
    wanted, files = list(tests), named_tests()
    report = place / "report.xml"
    ids = [f"{files[test]}::{test}" for test in wanted]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    env |= {"PYTHONPATH": str(sources), "TALLYBOOK_TEST_DATABASE_URL": database_url}
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--junitxml={report}",
            *options,
            *ids,
        ],
        cwd=tree.ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as trying:
        try:
            said, _ = trying.communicate(timeout=_SECONDS)
        finally:
            # Its workers, services and sandboxes too, should it have taken too long.
            with suppress(ProcessLookupError):
                os.killpg(trying.pid, signal.SIGKILL)
    (place / "output.txt").write_text(said, encoding="utf-8")
    assert report.exists(), said[-3000:]
    # pytest wrote it just now, so it is no stranger's.
    cases = [*ET.parse(report).iter("testcase")]  # noqa: S314
    return {test: _ended(test, cases) for test in wanted}


def _ended(test: str, cases: Sequence[ET.Element]) -> Ended:
    own = [case for case in cases if (case.get("name") or "").partition("[")[0] == test]
    said = [
        f"{trouble.tag}: {trouble.get('message') or trouble.text or '?'}"
        for case in own
        for trouble in case
        if trouble.tag in {"failure", "error"}
    ]
    return Ended(test, ran=bool(own), said="\n".join(said))


def verdict(plant: Plant, test: str, ended: Ended) -> str:
    """Empty if a test noticed what was planted: it failed by itself, and said what it must say."""
    if not ended.ran:
        return "it did not run"
    if ended.passed:
        return "it stays green"
    if any(f"failure: {word}" in ended.said for word in _BROKEN) or "failure: " not in ended.said:
        return f"the plant is broken: {ended.said[:200]}"
    if plant.caught[test] not in ended.said:
        return f"it says something else: {ended.said[:200]}"
    return ""


def try_plant(plant: Plant, place: Path, database_url: str) -> dict[str, str]:
    """Remove the guard in a copy, and run its tests: the verdict about each of them."""
    ended = try_tests(plant.caught, planted(plant, place), place, database_url)
    return {test: verdict(plant, test, ended[test]) for test in plant.caught}

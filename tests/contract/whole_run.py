"""Watches a whole run of pytest: what any sandbox tells any test is as both type sources have it, or the run is red.

Every sandbox that is started while a run goes on, by whatever program, keeps its journal in one file a process of
pytest, which is judged when that process has run its tests. Leaves judging to ``journals``.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from contract.journals import Marks, Verdict, judge
from contract.node_types import TypesMissingError

from stripe_sandbox.journal import JOURNAL_VARIABLE

_OUTPUT = "sandbox_contract"
_NAME = "the sandbox's contract with Stripe"
_SHOWN = 40


def watch(config: pytest.Config) -> None:
    """Watch a run from its beginning to its end."""
    config.pluginmanager.register(_Watch(config))


class _Watch:
    """One process of pytest: the only one, one of several workers, or the controller that hears of them."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._folder = Path(tempfile.mkdtemp(prefix="sandbox_journal_"))
        self._journal = self._folder / "journal"
        self._marks = Marks()
        self._verdict = Verdict()
        self._unchecked = ""
        self._before = os.environ.get(JOURNAL_VARIABLE)
        os.environ[JOURNAL_VARIABLE] = str(self._journal)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note where the journal is when a test begins."""
        self._marks.begin(nodeid, self._journal.stat().st_size if self._journal.exists() else 0)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Hear from a worker that ends; one that crashed says nothing, and its tests fail anyhow."""
        told = getattr(node, "workeroutput", {}).get(_OUTPUT)
        if told:
            self._verdict += Verdict(**told["verdict"])
            self._unchecked = self._unchecked or told["unchecked"]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Judge, when all fixtures are down and with them the sandboxes."""
        if self._journal.exists():
            try:
                self._verdict += judge(self._journal, self._marks)
            except TypesMissingError as reason:
                self._unchecked = str(reason)
        if hasattr(self._config, "workeroutput"):
            told = {"verdict": vars(self._verdict), "unchecked": self._unchecked}
            self._config.workeroutput[_OUTPUT] = told
        elif self._verdict.deviations:
            self._fail(session)

    def _fail(self, session: pytest.Session) -> None:
        """Turn the run red, with the deviations among its errors."""
        found = sorted(set(self._verdict.deviations))
        more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
        report = pytest.TestReport(
            nodeid=_NAME,
            location=(_NAME, None, _NAME),
            keywords={},
            outcome="failed",
            longrepr="\n".join(found[:_SHOWN] + more),
            when="teardown",
        )
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.stats.setdefault("error", []).append(report)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how much was checked, in one line."""
        seen = self._verdict
        if self._unchecked:
            terminalreporter.line(f"{_NAME} was not checked: {self._unchecked}", yellow=True)
        if seen.answers or seen.events:
            terminalreporter.line(
                f"{_NAME}: {seen.answers} answers and {seen.events} events held against both type sources"
                f" ({seen.different} unlike each other, {seen.older} of older versions left out,"
                f" {seen.seconds:.1f} s), {len(set(seen.deviations))} deviations"
            )

    def pytest_unconfigure(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._before is None:
            os.environ.pop(JOURNAL_VARIABLE, None)
        else:
            os.environ[JOURNAL_VARIABLE] = self._before

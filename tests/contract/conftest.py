"""Gives each contract test a sandbox of its own."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from contract.desk import Desk

_SECONDS = 30


@pytest.fixture
def desk() -> Iterator[Desk]:
    """Start a fresh sandbox in a process of its own, with an empty store."""
    process = subprocess.Popen(
        [sys.executable, "-m", "stripe_sandbox", "--port", "0", "--quiet"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        assert " ready on " in line, line
        opened = Desk(line.rsplit(" ", 1)[1])
        yield opened
        opened.http.close()  # type: ignore[no-untyped-call]
    finally:
        process.terminate()
        process.communicate(timeout=_SECONDS)

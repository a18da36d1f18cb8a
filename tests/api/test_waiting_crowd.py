"""A crowd that waits for a stalled PostgreSQL: the queue is bounded, so is memory, and in the end everybody is served.

It is ``python -m bench.memory`` with smaller numbers: the service as a process, a real connection for each caller, and
the backends that post frozen.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CALLERS = 600
BOUND = 400
TURNS = 2


@pytest.mark.timeout(600)
def test_a_crowd_is_bounded_sent_away_with_retry_after_and_served_in_the_end() -> None:
    wanted = {"--callers": CALLERS, "--bound": BOUND, "--turns": TURNS, "--kib-each": 64}
    options = [str(part) for option in wanted.items() for part in option]

    done = subprocess.run(
        [sys.executable, "-m", "bench.memory", "--json", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["failures"] == []
    assert done.returncode == 0
    assert len(found["turns"]) == TURNS
    for turn in found["turns"]:
        assert turn["waiting"] == BOUND
        assert turn["told"]["overloaded"] >= CALLERS - BOUND
        assert turn["served"] == CALLERS

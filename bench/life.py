"""``python -m bench.life``: how long two years of a subscriber's life take on a test clock.

The life is a test's, which says what must come of it; here it is only measured, since a test does not judge time.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from bench import sheets

LIFE = "tests/payments/test_subscribers_life.py::test_two_years_of_a_subscribers_life_leave_books_that_tie"
_TOOK = re.compile(r"^two years took (\d+\.\d+) s$", re.MULTILINE)
_ROOT = Path(__file__).resolve().parents[1]


def seconds_of_a_life() -> float:
    """Live it once: what the test printed."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", LIFE],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    [seconds] = _TOOK.findall(done.stdout)
    return float(seconds)


def main() -> int:
    """Live it a few times; 1 when the limit is passed."""
    parser = argparse.ArgumentParser(prog="python -m bench.life", description=__doc__)
    parser.add_argument("--lives", type=int, default=3)
    parser.add_argument("--limit", type=float, default=60.0, help="what the slowest may take, in seconds")
    given = parser.parse_args()
    Console(stderr=True).print("[dim]Living two years …[/dim]")
    lives = [seconds_of_a_life() for _ in range(given.lives)]
    sheet = sheets.Sheet(
        title="Two years of a subscriber's life on a test clock",
        columns=("", "lives", "fastest s", "median s", "slowest s"),
        rows=[
            (
                "a trial, 24 paid months, two changes of plan, declines, an end",
                str(len(lives)),
                *(f"{found:.1f}" for found in (min(lives), statistics.median(lives), max(lives))),
            )
        ],
        notes=[
            "Sandbox, events, worker and books together, on a PostgreSQL without durability, as in the tests."
        ],
    )
    sheets.draw([sheet], sheets.console())
    return 1 if max(lives) > given.limit else 0


if __name__ == "__main__":
    sys.exit(main())

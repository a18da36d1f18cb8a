"""The example code of document 000, as it stands there, against a running Tallybook.

Only settings are filled in. The quoted files are explained in the README beside this module.
"""

from __future__ import annotations

import ast
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from running_service import EMAIL, Running

from credit_sdk import CreditSDK

QUOTED = Path(__file__).parent / "quoted"
JOB = 5
DIGESTS = {
    "complete_integration_example.py.txt": "4ea3eb5b507fdb4512b8c0305c49aaf2e108c9ebb630ebf6ac8378ff658f351e",
    "option_2_direct_sql.py.txt": "7c9f3ca4cac759bdffca3a6e32b8ce1068f66628803d1d81a40b95c1972dcd02",
}
DRIVER = """
import runpy, sys
from concurrent.futures import ThreadPoolExecutor
from sqlalchemy.exc import DBAPIError

quoted = runpy.run_path(sys.argv[1])
user_id, credits, times = map(int, sys.argv[2:5])

def consume(_):
    try:
        return quoted["consume_credits"](user_id, credits, "Whatnot Autoprint Job")
    except DBAPIError as refused:
        return refused.orig.diag.sqlstate if hasattr(refused.orig, "diag") else str(refused)

with ThreadPoolExecutor(times) as pool:
    answers = list(pool.map(consume, range(times)))
print("spent", answers.count(True))
print("other", sorted({str(answer) for answer in answers if answer is not True}))
print("left", quoted["get_user_credits"](user_id))
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder of its own with the quoted programs, so that no .env of a developer is found."""
    for quoted in QUOTED.glob("*.py.txt"):
        shutil.copy(quoted, tmp_path / quoted.name.removesuffix(".txt"))
    return tmp_path


def run(running: Running, place: Path, *arguments: str) -> str:
    """Run Python with nothing in the environment but the guide's settings; what it printed."""
    finished = subprocess.run(
        [sys.executable, *arguments],
        cwd=place,
        env={
            "API_BASE_URL": running.base_url,
            "APP_ID": running.app_id,
            "API_KEY": running.api_key,
            "DATABASE_URL": running.app_database_url,
        },
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def consume(running: Running, place: Path, times: int) -> str:
    """Call the quoted ``consume_credits`` so many times at once, for one job each; what came of it."""
    quoted = str(place / "option_2_direct_sql.py")
    return run(running, place, "-c", DRIVER, quoted, str(running.user_id), str(JOB), str(times))


def test_the_quoted_programs_are_as_they_were_quoted() -> None:
    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in QUOTED.iterdir()}

    assert found == DIGESTS


def test_the_complete_example_does_the_job_and_takes_five_credits(running: Running, place: Path) -> None:
    running.grant(EMAIL, 12)

    printed = run(running, place, "complete_integration_example.py")

    assert "Authentication successful" in printed
    assert "Current credit balance: 12" in printed
    assert "Print job completed: job_12345" in printed
    assert "Warning" not in printed
    with CreditSDK(running.app_database_url) as sdk:
        assert sdk.get_balance(running.user_id) == 12 - JOB


def test_the_complete_example_offers_a_checkout_when_credits_are_short(running: Running, place: Path) -> None:
    running.grant(EMAIL, 4)

    printed = run(running, place, "complete_integration_example.py")

    assert "Insufficient credits. Required: 5, Available: 4." in printed
    [link] = [line for line in printed.splitlines() if "Purchase credits: " in line]
    assert link.partition("Purchase credits: ")[2].startswith("http")
    with CreditSDK(running.app_database_url) as sdk:
        assert sdk.get_balance(running.user_id) == 4


def test_direct_sql_reads_the_balance_and_spends(running: Running, place: Path) -> None:
    running.grant(EMAIL, 12)

    printed = consume(running, place, 1)

    assert printed.splitlines() == ["spent 1", "other []", "left 7"]


def test_direct_sql_that_is_short_spends_nothing(running: Running, place: Path) -> None:
    running.grant(EMAIL, 4)

    printed = consume(running, place, 1)

    assert printed.splitlines() == ["spent 0", "other ['False']", "left 4"]


def test_direct_sql_in_parallel_cannot_overspend(running: Running, place: Path) -> None:
    running.grant(EMAIL, 12)

    printed = consume(running, place, 12)

    spent, other, left = printed.splitlines()
    assert (spent, left) == ("spent 2", "left 2")
    assert set(ast.literal_eval(other.removeprefix("other "))) <= {"False", "TB402"}

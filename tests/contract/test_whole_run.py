"""What is told anywhere in a run is held against both type sources, and one wrong field turns the run red."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from contract import samples
from contract.desk import ERROR_TYPES
from contract.journals import Marks, Verdict, judge
from contract.node_types import TOOL, Json
from contract.outlines import outline

from stripe_sandbox.errors import ApiError
from stripe_sandbox.journal import Journal
from stripe_sandbox.kinds import API_VERSION

TESTS = Path(__file__).resolve().parents[1]
CONFTEST = """
from contract import whole_run

def pytest_configure(config):
    whole_run.watch(config)
"""
TELLING = """
import os
from pathlib import Path
from contract import samples
from contract.test_whole_run import Telling

def test_that_hears_a_wrong_answer():
    Telling(Path(os.environ["STRIPE_SANDBOX_JOURNAL"])).answer(samples.price() | {"colour": "red"})

def test_that_hears_a_right_one():
    Telling(Path(os.environ["STRIPE_SANDBOX_JOURNAL"])).answer(samples.price())
"""


class Telling:
    """A sandbox that says what a test wants to hear."""

    def __init__(self, path: Path) -> None:
        """Keep a journal."""
        self.path = path
        self.marks = Marks()
        self._journal = Journal(path)

    def answer(
        self, body: Json, asked: str = "POST /v1/prices", *, version: str = API_VERSION, status: int = 200
    ) -> None:
        """Answer a request."""
        method, path = asked.split()
        text = samples.text(body).encode()
        self._journal.answered(method, path, version=version, status=status, request_id="req_1", body=text)

    def send(self, event: Json) -> None:
        """Send an event."""
        self._journal.sent("http://127.0.0.1:9/hook", event, 200)

    def verdict(self) -> Verdict:
        """Close the journal and judge it."""
        self._journal.close()
        return judge(self.path, self.marks)


@pytest.fixture
def telling(tmp_path: Path) -> Telling:
    """A sandbox with a fresh journal."""
    return Telling(tmp_path / "journal")


def test_what_stripe_would_say_is_counted_and_fine(telling: Telling) -> None:
    telling.answer(samples.price())
    telling.answer(samples.page(samples.price(), samples.price() | {"id": "price_2"}), "GET /v1/prices")
    telling.send(samples.event("price.created", samples.price()))

    found = telling.verdict()

    assert (found.answers, found.events, found.older, found.deviations) == (2, 1, 0, [])


def test_an_answer_about_something_else_is_found(telling: Telling) -> None:
    telling.answer(samples.page(samples.price()), "GET /v1/coupons")

    assert "GET /v1/coupons 200: answer.data[0].object: 'price' is not one of 'coupon'" in "".join(
        telling.verdict().deviations
    )


def test_a_wrong_field_names_the_route_and_the_test_that_heard_it_first(telling: Telling) -> None:
    for number in (1, 2):
        telling.marks.begin(f"test_{number}", telling.path.stat().st_size)
        telling.answer(samples.price() | ({"colour": "red"} if number == 2 else {}))

    assert telling.verdict().deviations == [
        f"POST /v1/prices 200: {source}: price.colour: unknown field\n    first told in test_2"
        for source in ("python types", "typescript types")
    ]


def test_a_wrong_field_in_an_event_that_was_sent_is_found(telling: Telling) -> None:
    telling.send(samples.event("price.created", samples.price() | {"active": None}))

    found = [line.split("\n")[0] for line in telling.verdict().deviations]
    assert found == [
        "event sent: python types: event[price.created].data.object: price.active: expected bool, got null",
        "event sent: typescript types: event.data.object.active: null is not allowed",
    ]


def test_one_wrong_entry_among_many_of_a_list_is_found(telling: Telling) -> None:
    entries = [samples.price() | {"id": f"price_{number}", "unit_amount": number} for number in range(50)]
    entries[30] |= {"type": "weekly"}

    telling.answer(samples.page(*entries), "GET /v1/prices")

    found = telling.verdict()
    assert any("price.type: 'weekly' is not one of" in line for line in found.deviations)
    assert found.different == 3


def test_a_refusal_is_checked_too(telling: Telling) -> None:
    telling.answer(ApiError("No.", code="resource_missing", param="id").body(), status=404)
    telling.answer(ApiError("No.", kind="sandbox_error").body(), status=400)
    telling.answer({"error": {"type": "api_error", "reason": "none"}}, status=500)
    telling.answer({"problem": "none"}, status=500)

    assert [line.split("\n")[0].partition(": ")[2] for line in telling.verdict().deviations] == [
        f"python types: error.type: 'sandbox_error' is not one of {ERROR_TYPES}",
        "python types: error.reason: unknown field",
        "not an error: ['problem']",
    ]


def test_other_versions_are_left_out_and_counted(telling: Telling) -> None:
    telling.answer(samples.price() | {"colour": "red"}, version="2023-10-16")
    telling.send(samples.event("price.created", {"object": "spam"}) | {"api_version": "2023-10-16"})

    found = telling.verdict()

    assert (found.answers, found.events, found.older, found.deviations) == (0, 0, 2, [])


def test_a_line_that_was_cut_off_spoils_no_other_one(telling: Telling) -> None:
    telling.answer(samples.price())
    with telling.path.open("ab") as torn:
        torn.write(b'{"kind": "answer", "body": {"obj')
    again = Telling(telling.path)
    again.answer(samples.price() | {"colour": "red"})

    found = again.verdict()

    assert found.answers == 2
    assert len(found.deviations) == 2


@pytest.mark.parametrize(
    ("changes", "alike"),
    [
        ({"id": "price_2", "unit_amount": 5, "nickname": None, "unit_amount_decimal": "5.5"}, True),
        ({"metadata": {"another": "value"}}, True),
        ({"metadata": {}}, False),
        ({"nickname": "cheap"}, False),
        ({"unit_amount": 5.5}, False),
        ({"unit_amount": True}, False),
        ({"unit_amount_decimal": "a lot"}, False),
        ({"type": "recurring"}, False),
        ({"active": False}, False),
        ({"colour": "red"}, False),
        ({"livemode": "no"}, False),
    ],
)
def test_only_what_the_types_cannot_tell_apart_is_alike(changes: Json, alike: bool) -> None:
    assert (outline(samples.price()) == outline(samples.price() | changes)) is alike


def run_of_two_tests(place: Path, tests: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest over a test that hears a wrong answer and one that hears a right one."""
    place.mkdir(exist_ok=True)
    (place / "conftest.py").write_text(CONFTEST)
    (place / "test_telling.py").write_text(TELLING)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, str(place)],
        env=os.environ | {"PYTHONPATH": str(tests)},
        cwd=place,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_run_in_which_a_wrong_field_was_told_is_red(tmp_path: Path, workers: str) -> None:
    run = run_of_two_tests(tmp_path, TESTS, "-n", workers)

    assert run.returncode == 1, run.stdout + run.stderr
    assert "2 passed, 1 error in" in run.stdout
    assert "typescript types: price.colour: unknown field" in run.stdout
    assert "first told in test_telling.py::test_that_hears_a_wrong_answer" in run.stdout
    assert "2 answers and 0 events held against both type sources" in run.stdout


def test_without_the_npm_packages_a_run_says_that_it_was_not_checked_and_why(tmp_path: Path) -> None:
    without_caches = shutil.ignore_patterns("__pycache__", "node_modules")
    shutil.copytree(TESTS / "contract", tmp_path / "tests" / "contract", ignore=without_caches)
    shutil.copytree(TOOL, tmp_path / "tools" / "stripe_types", ignore=without_caches)

    run = run_of_two_tests(tmp_path / "run", tmp_path / "tests")

    assert run.returncode == 0, run.stdout + run.stderr
    assert "2 passed in" in run.stdout
    assert "was not checked: the npm packages with Stripe's declarations are not installed" in run.stdout

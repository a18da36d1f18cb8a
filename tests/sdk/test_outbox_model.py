"""The outbox against a small model of the ledger: answers are lost, holds expire, processes die between any two steps.

The model keeps the one rule that everything rests on: a key belongs to one set of terms, and gets its first answer.
Whatever happens, what was accepted is charged once or told of as uncollected, and nothing else is charged.
"""

from __future__ import annotations

import copy
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sdk.small_ledger import Ledger

from credit_sdk import FailOpen
from credit_sdk.errors import CreditError, LeaseExhaustedError, ServiceUnreachableError
from credit_sdk.outbox import settling
from credit_sdk.outbox.rows import State
from credit_sdk.outbox.spending import spend
from credit_sdk.outbox.steps import Ask, Books, Local, Steps
from credit_sdk.requests import spend as describe_spend

LEASE = 10


@dataclass
class Fates:
    """What happens to the questions of one act, in turn; and after so many steps the process dies."""

    of_questions: list[str] = field(default_factory=list)
    dies_after: int | None = None

    def question(self) -> str:
        """The fate of the next question."""
        return self.of_questions.pop(0) if self.of_questions else "fine"

    def step(self) -> None:
        """One more step is done."""
        if self.dies_after is not None:
            self.dies_after -= 1
            if self.dies_after < 0:
                raise Died


class Died(Exception):  # noqa: N818 - an end, not an error
    """The process is gone."""


@dataclass
class World:
    """A process that dies and starts again over one outbox file, a way that loses messages, and the ledger."""

    path: Path
    ledger: Ledger = field(default_factory=Ledger)
    accepted: dict[str, int] = field(default_factory=dict)
    books: Books = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """A process begins."""
        terms = FailOpen(
            lease=LEASE, outbox=self.path, background=False, patience_seconds=0.001, pause_seconds=60
        )
        self.books = Books(terms, "http://model")
        # A claim of a dead process is waited for; here nobody wants to wait.
        self.books.spends._claim_ms = self.books.leases._claim_ms = 0

    def run(self, steps: Steps[Any], fates: Fates) -> Any:
        """Drive steps; each question to the service, and each step on disk, meets the next fate."""
        try:
            step = next(steps)
            while True:
                try:
                    found = self._done(step, fates)
                except CreditError as problem:
                    step = steps.throw(problem)
                else:
                    step = steps.send(found)
        except StopIteration as done:
            return done.value
        except Died:
            self.books.store.close()
            self.start()
            raise
        finally:
            steps.close()

    def _done(self, step: Ask | Local, fates: Fates) -> Any:
        try:
            return step.call() if isinstance(step, Local) else self._asked(step, fates.question())
        finally:
            fates.step()

    def _asked(self, step: Ask, fate: str) -> Any:
        problem = ServiceUnreachableError()
        if fate == "unsent":
            raise problem
        problem.may_have_acted = True
        if fate == "lost question":
            raise problem
        try:
            answer = self.ledger.ask(step.request)
        finally:
            if fate == "lost answer":
                raise problem
        return answer

    def spend(self, job: int, fates: Fates) -> None:
        """A job asks for its credits; a yes, and only a yes, is to be charged."""
        credits = 1 + job % 4
        name = f"job-{job}"
        request = describe_spend(7, credits, description=name, idempotency_key=name)
        try:
            self.run(spend(self.books, request), fates)
        except (CreditError, Died):
            return
        self.accepted[name] = credits

    def settle(self, fates: Fates) -> None:
        """A round of settling, which may die."""
        try:
            self.run(settling.settle(self.books), fates)
        except Died:
            return

    def check(self) -> None:
        """What was accepted is charged once, or is known to be uncollected; what was refused is not charged."""
        self.books.gate.back()
        assert self.run(settling.settle(self.books), Fates()).pending == 0
        uncollected = {line.key for line in self.books.spends.in_state(State.UNCOLLECTED)}
        for job, credits in self.accepted.items():
            charged = self.ledger.charged[job]
            assert charged == (0 if job in uncollected else credits), (job, charged, uncollected)
        for job, charged in self.ledger.charged.items():
            assert charged in {0, 1 + int(job.removeprefix("job-")) % 4}, f"{job} is charged {charged}"


QUESTIONS = st.lists(st.sampled_from(["fine", "unsent", "lost question", "lost answer"]), max_size=6)
FATES = st.builds(Fates, QUESTIONS, st.one_of(st.none(), st.integers(0, 9)))
JOBS = st.integers(0, 9)
ACTS = st.one_of(
    st.tuples(st.just("spend"), JOBS, FATES),
    st.tuples(st.just("spend unasked"), JOBS, FATES),
    st.tuples(st.just("settle"), st.just(0), FATES),
    st.tuples(st.sampled_from(["expire", "short", "elsewhere"]), JOBS, st.builds(Fates)),
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(acts=st.lists(ACTS, max_size=25))
def test_whatever_happens_what_was_accepted_is_charged_once(acts: list[tuple[str, int, Fates]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        world = World(Path(place) / "outbox.sqlite")
        world.spend(100, Fates())
        for act, job, fates in acts:
            match act:
                case "spend":
                    world.books.gate.back()
                    world.spend(job, copy.deepcopy(fates))
                case "spend unasked":
                    world.books.gate.away()
                    world.spend(job, copy.deepcopy(fates))
                case "settle":
                    world.settle(copy.deepcopy(fates))
                case "expire":
                    world.ledger.expire()
                case "short":
                    world.ledger.available = 0
                case "elsewhere":
                    elsewhere(world, job)
        world.check()
        world.books.store.close()


def elsewhere(world: World, job: int) -> None:
    """The same job, run by a client that has no outbox."""
    name = f"job-{job}"
    try:
        world.ledger.ask(describe_spend(7, 1 + job % 4, description=name, idempotency_key=name))
    except CreditError:
        return


def test_the_model_itself_answers_a_key_once() -> None:
    ledger = Ledger()
    request = describe_spend(7, 3, description="job-1", idempotency_key="a")

    ledger.ask(request)
    ledger.ask(request)
    with pytest.raises(CreditError, match="idempotency_key_reused"):
        ledger.ask(describe_spend(7, 4, description="job-1", idempotency_key="a"))

    assert (ledger.available, ledger.charged) == (97, {"job-1": 3})


def test_a_lease_that_is_spent_is_spent_for_the_next_process_too(tmp_path: Path) -> None:
    world = World(tmp_path / "outbox.sqlite")
    world.spend(100, Fates())
    world.books.gate.away()
    for job in (3, 7):
        world.spend(job, Fates())
    world.start()
    world.books.gate.away()
    request = describe_spend(7, 3, description="job-2", idempotency_key="job-2")

    with pytest.raises(LeaseExhaustedError):
        world.run(spend(world.books, request), Fates())

    assert world.accepted == {"job-100": 1, "job-3": 4, "job-7": 4}


def test_what_was_captured_is_not_lent_again(tmp_path: Path) -> None:
    world = World(tmp_path / "outbox.sqlite")
    world.spend(100, Fates())
    for job in (3, 7, 11):
        world.books.gate.away()
        world.spend(job, Fates())
        world.settle(Fates())

    assert world.accepted == {"job-100": 1, "job-3": 4, "job-7": 4}
    assert sum(world.ledger.holds.values()) == 2


def test_what_was_booked_otherwise_can_be_lent_again(tmp_path: Path) -> None:
    world = World(tmp_path / "outbox.sqlite")
    world.spend(100, Fates())
    for job in (3, 7, 11):
        world.books.gate.back()
        world.spend(job, Fates(["lost answer"]))
        world.settle(Fates())

    assert world.accepted == {"job-100": 1, "job-3": 4, "job-7": 4, "job-11": 4}
    assert sum(world.ledger.holds.values()) == LEASE

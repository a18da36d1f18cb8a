"""Both roads through the posting function, and every way to cut requests into batches, lead to the same books."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import psycopg
import pytest
from databases import TestDatabase
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ledger.asking import BEGIN, SPANS, requests
from ledger.desk import APPS, Desk, outcome, said
from ledger.model import Model
from ledger.model_parts import Budget

from tallybook.domain.ledger.requests import Account, Posting

PLAIN = ("spend", "hold", "hold", "capture", "capture", "capture", "release")
Budgets = Mapping[int, int]
Rounds = Sequence[tuple[int, Sequence[Posting]]]


@pytest.fixture
def desk(database: TestDatabase) -> Iterator[Desk]:
    opened = Desk(database.superuser_url)
    opened.one(APPS)
    opened.connection.commit()
    yield opened
    opened.connection.close()


class Copy:
    """A wallet that is sent the same requests as the others."""

    def __init__(self, desk: Desk, budgets: Sequence[Budget]) -> None:
        self.desk = desk
        self.wallet = desk.a_wallet(BEGIN)
        self.budgets: dict[int, int] = {}
        for b in budgets:
            parent = None if b.parent is None else self.budgets[b.parent]
            self.budgets[b.budget_id] = desk.a_budget(
                self.wallet, BEGIN, parent=parent, app=b.app, limit=b.limit, period=b.period
            )
        desk.connection.commit()

    def own(self, request: Posting) -> Posting:
        budget = None if request.budget_id is None else self.budgets.get(request.budget_id, request.budget_id)
        return replace(request, wallet_id=self.wallet, budget_id=budget)

    def post(self, at: int, batch: Sequence[Posting]) -> list[object]:
        rows = self.desk.post(at, [self.own(r) for r in batch])
        self.desk.connection.commit()
        return [outcome(row) for row in rows]

    def crash(self, url: str, at: int, batch: Sequence[Posting]) -> None:
        """Post, and lose the connection before the commit."""
        doomed = Desk(url)
        doomed.post(at, [self.own(r) for r in batch])
        self.desk.one("SELECT pg_terminate_backend(%(pid)s)", {"pid": doomed.connection.info.backend_pid})
        with pytest.raises(psycopg.OperationalError):
            doomed.connection.commit()
        doomed.connection.close()

    def books(self) -> dict[str, list[object]]:
        numbers = {own: name for name, own in self.budgets.items()}
        state = self.desk.state(self.wallet)
        for row in state["budgets"]:
            row[0] = numbers[row[0]]
        for rows, place in ((state["holds"], 9), (state["transfers"], 8)):
            for row in rows:
                row[place] = row[place] and [numbers[b] for b in row[place]]
        return state


def _budgets(draw: st.DrawFn) -> list[Budget]:
    limits, periods = st.none() | st.integers(0, 120), st.sampled_from(["none", "day", "month"])
    made: list[Budget] = []
    for number in range(1, draw(st.integers(0, 3)) + 1):
        parent = draw(st.none() | st.integers(1, number - 1)) if number > 1 else None
        app = 1 if number == 3 and draw(st.booleans()) else None
        made.append(Budget(number, parent, app, draw(limits), draw(periods), 0))
    return made


@st.composite
def histories(draw: st.DrawFn) -> tuple[Model, list[Budget], Rounds]:
    """What one wallet is asked, in rounds of one time each; half of them only what the swift road takes."""
    plain, model, keys = draw(st.booleans()), Model(BEGIN), itertools.count(1)
    budgets = [] if plain else _budgets(draw)
    for b in budgets:
        model.open_budget(BEGIN, replace(b))
    opening = Posting(
        op="grant", wallet_id=0, app_id=0, key="opening", amount_micro=draw(st.integers(50, 500)),
        house=Account.ADJUSTMENTS, source="adjustment",
    )  # fmt: skip
    model.post(BEGIN, [opening])
    rounds, at = [(BEGIN, [opening])], BEGIN
    for _ in range(draw(st.integers(1, 4))):
        at += draw(SPANS)
        asked = []
        for _ in range(draw(st.integers(1, 10))):
            often = {"often": PLAIN} if plain else {}
            request = draw(requests(model, 0, f"key-{next(keys)}", **often))
            if plain:
                request = replace(request, parent_version=None)
            model.post(at, [request])
            asked.append(request)
        rounds.append((at, asked))
    return model, budgets, rounds


def _batches(data: st.DataObject, asked: Sequence[Posting]) -> Iterator[Sequence[Posting]]:
    while asked:
        size = data.draw(st.integers(1, len(asked)))
        yield asked[:size]
        asked = asked[size:]


@settings(
    max_examples=25,
    deadline=None,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
@given(history=histories(), data=st.data())
def test_every_cut_into_batches_and_both_roads_lead_to_the_same_books(
    database: TestDatabase, desk: Desk, history: tuple[Model, list[Budget], Rounds], data: st.DataObject
) -> None:
    model, budgets, rounds = history
    one_by_one, exact, batched = (Copy(desk, budgets) for _ in range(3))
    # A request about no hold sends its whole batch down the exact road, and leaves nothing behind.
    nothing = Posting(op="release", wallet_id=0, app_id=1, key=None, hold_version=999_999)
    for at, asked in rounds:
        answers = [one_by_one.post(at, [request])[0] for request in asked]
        assert [exact.post(at, [nothing, request])[1] for request in asked] == answers
        found: list[object] = []
        for batch in _batches(data, asked):
            ends = data.draw(st.sampled_from(["well", "well", "crashed", "unheard"]))
            if ends == "crashed":
                batched.crash(database.superuser_url, at, batch)
            first = batched.post(at, batch)
            if ends == "unheard":
                assert batched.post(at, batch) == first
            found += first
        assert found == answers
    assert one_by_one.books() == said(model)
    assert exact.books() == said(model)
    assert batched.books() == said(model)

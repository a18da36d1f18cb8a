"""The ledger against its model: Hypothesis asks for anything in any order, and both must say the same after each step.

``TALLYBOOK_MODEL_STEPS`` asks for so many steps in all (a step posts up to sixteen requests, fewer than two on average,
since some only move time). A failure is printed with the seed that finds it again:
``pytest tests/ledger/test_model.py --hypothesis-seed=…``.
"""

from __future__ import annotations

import itertools
import os
import secrets
from dataclasses import replace

import pytest
from databases import TestDatabase
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, get_state_machine_test, initialize, precondition, rule
from ledger.asking import BEGIN, SPANS, requests
from ledger.desk import APPS, Desk, Row, moment, outcome, said
from ledger.model import Model
from ledger.model_parts import Budget

from tallybook.domain.ledger.requests import Account, Posting

EACH = 40
STEPS = int(os.environ.get("TALLYBOOK_MODEL_STEPS", "2400"))
PERIODS = st.sampled_from(["none", "day", "week", "month"])
LIMITS = st.none() | st.integers(0, 120)


class Machine(RuleBasedStateMachine):
    """One wallet in the ledger and one in the model; all in a transaction that is rolled back at the end."""

    desk: Desk
    asked = 0

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(BEGIN)
        self.now = BEGIN
        self.wallet = self.desk.a_wallet(BEGIN)
        self.keys = itertools.count(1)
        self.first: dict[tuple[int, str], tuple[Posting, Row]] = {}
        self.checked = 0

    def post(self, batch: list[Posting]) -> None:
        """Post a batch to both."""
        expected = self.model.post(self.now, batch)
        rows = self.desk.post(self.now, batch)
        for request, row, says in zip(batch, rows, expected, strict=True):
            assert outcome(row) == says, f"{request}: the ledger answers {outcome(row)}, the model {says}"
        type(self).asked += len(batch)
        for request, row in zip(batch, rows, strict=True):
            if request.key is None or row["code"] == "idempotency_key_reused":
                continue
            _, before = self.first.setdefault((request.app_id, request.key), (request, row))
            if before is not row:
                assert row == {**before, "ord": row["ord"], "replayed": True}
        self.compare()

    def compare(self) -> None:
        found, expected = self.desk.state(self.wallet, self.checked), said(self.model, self.checked)
        for name, rows in expected.items():
            differ = [pair for pair in itertools.zip_longest(found[name], rows) if pair[0] != pair[1]]
            assert not differ, f"{name}: the ledger says {differ[0][0]}, the model {differ[0][1]}"
        self.checked = len(self.model.transfers)

    def key(self, *, without: bool) -> str | None:
        return None if without else f"key-{next(self.keys)}"

    @initialize(data=st.data())
    def opening(self, data: st.DataObject) -> None:
        granted = data.draw(st.integers(0, 200))
        if granted:
            self.post(
                [
                    Posting(
                        op="grant",
                        wallet_id=self.wallet,
                        app_id=0,
                        key="opening",
                        amount_micro=granted,
                        house=Account.ADJUSTMENTS,
                        source="adjustment",
                    )
                ]
            )

    @rule(data=st.data(), without_key=st.booleans())
    def one(self, data: st.DataObject, without_key: bool) -> None:
        self.post([data.draw(requests(self.model, self.wallet, self.key(without=without_key)))])

    @rule(data=st.data(), size=st.integers(2, 8))
    def several(self, data: st.DataObject, size: int) -> None:
        batch = [data.draw(requests(self.model, self.wallet, self.key(without=False))) for _ in range(size)]
        if data.draw(st.integers(0, 3)) == 3:
            batch.append(batch[0])
        self.post(batch)

    @rule(data=st.data(), size=st.integers(8, 16))
    def many(self, data: st.DataObject, size: int) -> None:
        self.post(
            [data.draw(requests(self.model, self.wallet, self.key(without=False))) for _ in range(size)]
        )

    @precondition(lambda self: self.first)
    @rule(data=st.data(), other_terms=st.booleans())
    def again(self, data: st.DataObject, other_terms: bool) -> None:
        request, _ = self.first[data.draw(st.sampled_from(list(self.first)))]
        if other_terms:
            request = replace(request, amount_micro=(request.amount_micro or 0) + 1)
        fresh = data.draw(requests(self.model, self.wallet, self.key(without=False)))
        self.post([request, fresh] if data.draw(st.booleans()) else [request])

    @rule(span=SPANS | st.integers(-100, -1))
    def time_moves(self, span: int) -> None:
        self.now += span

    @rule()
    def the_worker_settles(self) -> None:
        self.model.settle_due(self.now)
        self.desk.one("SELECT * FROM tallybook.settle_due_v2(%(at)s, 100)", {"at": moment(self.now)})
        self.compare()

    @precondition(lambda self: self.model.holds)
    @rule(data=st.data(), lifetime=SPANS)
    def extend(self, data: st.DataObject, lifetime: int) -> None:
        hold = data.draw(st.sampled_from(list(reversed(self.model.holds))))
        found = self.desk.one(
            "SELECT * FROM tallybook.extend_hold_v2(%(at)s, %(wallet)s, %(hold)s, %(lifetime)s)",
            {"at": moment(self.now), "wallet": self.wallet, "hold": hold, "lifetime": lifetime},
        )
        assert found["code"] == self.model.extend(self.now, hold, lifetime)
        self.compare()

    @precondition(lambda self: len(self.model.budgets) < 5)
    @rule(data=st.data(), limit=LIMITS, period=PERIODS, is_cap=st.sampled_from([False, False, True]))
    def open_budget(self, data: st.DataObject, limit: int | None, period: str, is_cap: bool) -> None:
        capped = {b.app for b in self.model.budgets.values()}
        app = 1 if is_cap and 1 not in capped else None
        parent = (
            data.draw(st.none() | st.sampled_from(list(self.model.budgets))) if self.model.budgets else None
        )
        number = self.desk.a_budget(self.wallet, self.now, parent=parent, app=app, limit=limit, period=period)
        self.model.open_budget(self.now, Budget(number, parent, app, limit, period, 0))
        self.compare()

    @precondition(lambda self: self.model.budgets)
    @rule(data=st.data(), limit=LIMITS)
    def limit_budget(self, data: st.DataObject, limit: int | None) -> None:
        number = data.draw(st.sampled_from(list(self.model.budgets)))
        self.desk.one(
            "SELECT tallybook.limit_budget_v1(%(at)s, %(wallet)s, %(number)s, %(limit)s)",
            {"at": moment(self.now), "wallet": self.wallet, "number": number, "limit": limit},
        )
        self.model.budgets[number].limit = limit

    def teardown(self) -> None:
        try:
            assert self.desk.faults() == []
        finally:
            self.desk.connection.rollback()


@pytest.mark.timeout(0)
def test_the_ledger_does_what_its_model_does(database: TestDatabase, pytestconfig: pytest.Config) -> None:
    number = pytestconfig.getoption("--hypothesis-seed") or secrets.randbelow(2**32)
    print(f"to find a failure again: --hypothesis-seed={number}")
    Machine.desk = Desk(database.superuser_url)
    Machine.desk.one(APPS)
    Machine.desk.connection.commit()
    # Failures are not shrunk: it takes minutes, and the first difference says what is wrong.
    chosen = settings(
        max_examples=max(1, STEPS // EACH),
        stateful_step_count=EACH,
        phases=(Phase.generate,),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    seed(int(number))(get_state_machine_test(Machine, settings=chosen))()
    print(f"{Machine.asked} requests")
    Machine.desk.connection.close()

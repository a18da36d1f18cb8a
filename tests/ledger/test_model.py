"""The ledger against its model: Hypothesis asks for anything in any order, and both must say the same after each step.

``TALLYBOOK_MODEL_STEPS`` asks for so many steps in all (a step posts up to sixteen requests, fewer than two on average,
since some only move time). A failure is printed with the seed that finds it again:
``pytest tests/ledger/test_model.py --hypothesis-seed=…``.
"""

from __future__ import annotations

import itertools
import os
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import pytest
from databases import TestDatabase
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, get_state_machine_test, initialize, precondition, rule
from ledger.asking import BEGIN, OFTEN, SPANS, requests
from ledger.desk import APPS, Desk, Row, moment, outcome, said
from ledger.model import Model, post_whole
from ledger.model_parts import Budget, Outcome

from tallybook.domain.ledger.requests import Account, Posting

EACH = 40
STEPS = int(os.environ.get("TALLYBOOK_MODEL_STEPS", "2400"))
APP = st.sampled_from([None, None, None, 1, 2])
# What the batch route takes, and anything.
WHOLE = st.sampled_from([("spend", "spend", "spend", "grant"), OFTEN])
PERIODS = st.sampled_from(["none", "day", "week", "month"])
LIMITS = st.none() | st.integers(0, 120)


class Machine(RuleBasedStateMachine):
    """One wallet in the ledger and one in the model; all in a transaction that is rolled back at the end.

    Beside it is a second one, for batches that are booked whole or not at all.
    """

    desk: Desk
    asked = 0
    answered: ClassVar = Counter[str]()
    blamed: ClassVar = Counter[str]()

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(BEGIN)
        self.now = BEGIN
        self.wallet = self.desk.a_wallet(BEGIN)
        self.beside = self.desk.a_wallet(BEGIN)
        self.models = {self.wallet: self.model, self.beside: Model(BEGIN)}
        # Where no app is capped, more requests go the swift road.
        self.has_caps = False
        self.keys = itertools.count(1)
        # What was asked under each key, and how it was answered; None when a batch was refused that it belonged to.
        self.first: dict[tuple[int, int, str], tuple[Posting, Row | None]] = {}
        self.checked = dict.fromkeys(self.models, 0)

    def post(self, batch: list[Posting]) -> None:
        """Post a batch to both."""
        expected = [self.models[r.wallet_id].post(self.now, [r])[0] for r in batch]
        rows = self.desk.post(self.now, batch)
        self.agree(batch, rows, expected)
        self.remember(batch, rows)
        self.compare(*{r.wallet_id for r in batch})

    def agree(self, batch: list[Posting], rows: list[Row], expected: list[Outcome]) -> None:
        for request, row, says in zip(batch, rows, expected, strict=True):
            assert outcome(row) == says, f"{request}: the ledger answers {outcome(row)}, the model {says}"
        type(self).asked += len(batch)
        type(self).answered.update(says.code for says in expected)

    def remember(self, batch: list[Posting], rows: list[Row]) -> None:
        """Remember what was said first, and see that it is said again."""
        for request, row in zip(batch, rows, strict=True):
            if request.key is None or row["code"] == "idempotency_key_reused":
                continue
            name = (request.wallet_id, request.app_id, request.key)
            _, before = self.first.get(name, (None, None))
            if before is None:
                self.first[name] = (request, row)
            else:
                assert row == {**before, "ord": row["ord"], "replayed": True}

    def compare(self, *wallets: int) -> None:
        for wallet in wallets:
            found = self.desk.state(wallet, self.checked[wallet])
            for name, rows in said(self.models[wallet], self.checked[wallet]).items():
                differ = [pair for pair in itertools.zip_longest(found[name], rows) if pair[0] != pair[1]]
                assert not differ, f"{name}: the ledger says {differ[0][0]}, the model {differ[0][1]}"
            self.checked[wallet] = len(self.models[wallet].transfers)

    def key(self, *, without: bool) -> str | None:
        return None if without else f"key-{next(self.keys)}"

    @initialize(amounts=st.tuples(st.integers(0, 200), st.integers(0, 60)), has_caps=st.booleans())
    def opening(self, amounts: tuple[int, int], has_caps: bool) -> None:
        self.has_caps = has_caps
        granted = [
            Posting(
                op="grant",
                wallet_id=wallet,
                app_id=0,
                key="opening",
                amount_micro=amount,
                house=Account.ADJUSTMENTS,
                source="adjustment",
            )
            for wallet, amount in zip(self.models, amounts, strict=True)
            if amount
        ]
        for one in granted:
            self.post([one])

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

    @rule(data=st.data(), sizes=st.tuples(st.integers(1, 3), st.integers(0, 3)), often=WHOLE)
    def all_or_nothing(self, data: st.DataObject, sizes: tuple[int, int], often: Sequence[str]) -> None:
        batch = [
            data.draw(requests(model, wallet, self.key(without=False), often))
            for (wallet, model), size in zip(self.models.items(), sizes, strict=True)
            for _ in range(size)
        ]
        batch = data.draw(st.permutations(batch))
        if self.first and not data.draw(st.integers(0, 7)):
            batch.append(self.first[data.draw(st.sampled_from(list(self.first)))][0])
        expected, blamed = post_whole(self.models, self.now, batch)
        rows = self.desk.post(self.now, batch, whole=True)
        self.agree(batch, rows, expected)
        if blamed is None:
            self.remember(batch, rows)
        else:
            self.refused(batch, rows, blamed)
        self.compare(*self.models)

    def refused(self, batch: list[Posting], rows: list[Row], blamed: tuple[int, str]) -> None:
        """A batch was: each of its requests says why, and will be told so under its key from now on."""
        place, code = blamed
        type(self).blamed[code] += 1
        for request, row in zip(batch, rows, strict=True):
            # One that was refused with a batch before says what that one said.
            if code != "batch_refused":
                assert (row["facts"]["index"], row["facts"]["item_code"]) == blamed
            assert row["facts"] == rows[place]["facts"]
            if request.key is not None and code != "idempotency_key_reused":
                name = (request.wallet_id, request.app_id, request.key)
                self.first.setdefault(name, (request, None))

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
        for model in self.models.values():
            model.settle_due(self.now)
        self.desk.one("SELECT * FROM tallybook.settle_due_v2(%(at)s, 100)", {"at": moment(self.now)})
        self.compare(*self.models)

    @precondition(lambda self: self.model.holds)
    @rule(data=st.data(), lifetime=SPANS)
    def extend(self, data: st.DataObject, lifetime: int) -> None:
        hold = data.draw(st.sampled_from(list(reversed(self.model.holds))))
        found = self.desk.one(
            "SELECT * FROM tallybook.extend_hold_v2(%(at)s, %(wallet)s, %(hold)s, %(lifetime)s)",
            {"at": moment(self.now), "wallet": self.wallet, "hold": hold, "lifetime": lifetime},
        )
        assert found["code"] == self.model.extend(self.now, hold, lifetime)
        self.compare(self.wallet)

    @precondition(lambda self: len(self.model.budgets) < 6)
    @rule(data=st.data(), limit=LIMITS, period=PERIODS, app=APP, keeper=st.sampled_from([0, 0, 1, 2]))
    def open_budget(
        self, data: st.DataObject, limit: int | None, period: str, app: int | None, keeper: int
    ) -> None:
        if app is not None and (not self.has_caps or self.model.cap(app) is not None):
            app = None
        keeper = keeper if app is None else 0
        parent = (
            data.draw(st.none() | st.sampled_from(list(self.model.budgets))) if self.model.budgets else None
        )
        number = self.desk.a_budget(
            self.wallet, self.now, parent=parent, app=app, limit=limit, period=period, keeper=keeper
        )
        self.model.open_budget(self.now, Budget(number, parent, app, limit, period, 0, keeper=keeper))
        self.compare(self.wallet)

    @precondition(lambda self: self.has_caps)
    @rule(limit=LIMITS, app=st.sampled_from([1, 1, 2]))
    def set_cap(self, limit: int | None, app: int) -> None:
        """The owner sets, changes or lifts the monthly cap of an app; what it used counts on."""
        number = self.desk.a_budget(self.wallet, self.now, parent=None, app=app, limit=limit, period="month")
        cap = self.model.cap(app)
        if cap is None:
            self.model.open_budget(self.now, Budget(number, None, app, limit, "month", 0))
        else:
            assert number == cap.budget_id
            cap.limit = limit
        self.compare(self.wallet)

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
    print(
        f"{Machine.asked} requests; answered {dict(Machine.answered)}; batches refused by {dict(Machine.blamed)}"
    )
    Machine.desk.connection.close()

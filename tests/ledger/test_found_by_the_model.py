"""What the model's machine found, told as a short story each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from databases import TestDatabase
from ledger.asking import BEGIN
from ledger.desk import APPS, Desk, moment

from tallybook.domain.ledger.requests import Posting

DAY = 86_400


@pytest.fixture
def desk(database: TestDatabase) -> Iterator[Desk]:
    opened = Desk(database.superuser_url)
    opened.one(APPS)
    yield opened
    assert opened.faults() == []
    opened.connection.close()


def _ask(wallet: int, op: str, amount: int | None = None, **terms: Any) -> Posting:
    if op == "grant":
        terms = {"house": "adjustments", "source": "adjustment", **terms}
    if op == "spend":
        terms["house"] = "usage"
    return Posting(op=op, wallet_id=wallet, app_id=1, key=None, amount_micro=amount, **terms)


def _codes(desk: Desk, at: int, *requests: Posting) -> list[str]:
    return [row["code"] for row in desk.post(at, requests)]


def test_what_is_released_to_a_lot_expires_with_it(desk: Desk) -> None:
    wallet = desk.a_wallet(BEGIN)
    _codes(desk, BEGIN, _ask(wallet, "grant", 10, lot_expires_at=moment(BEGIN + DAY)))
    _codes(desk, BEGIN, _ask(wallet, "hold", 10, lifetime_seconds=2 * DAY))
    # Something else is due while the lot has nothing left to expire.
    _codes(desk, BEGIN, _ask(wallet, "grant", 1, lot_expires_at=moment(BEGIN + 60)))
    _codes(desk, BEGIN + 60, _ask(wallet, "grant", 1, priority=90))
    _codes(desk, BEGIN + 120, _ask(wallet, "release", hold_version=2))

    assert _codes(desk, BEGIN + DAY, _ask(wallet, "spend", 2)) == ["insufficient_credits"]
    assert desk.state(wallet)["wallet"][0] == 1


def test_what_is_due_at_once_is_settled_before_the_next_request_of_the_batch(desk: Desk) -> None:
    wallet = desk.a_wallet(BEGIN)
    expired = _ask(wallet, "grant", 10, lot_expires_at=moment(BEGIN))

    assert _codes(desk, BEGIN, expired, _ask(wallet, "spend", 1)) == ["ok", "insufficient_credits"]


def test_a_cap_that_is_named_too_counts_once(desk: Desk) -> None:
    wallet = desk.a_wallet(BEGIN)
    cap = desk.a_budget(wallet, BEGIN, parent=None, app=1, limit=10, period="month")
    _codes(desk, BEGIN, _ask(wallet, "grant", 100))

    assert _codes(desk, BEGIN, _ask(wallet, "hold", 4, budget_id=cap)) == ["ok"]
    assert desk.state(wallet)["holds"][0][9] == [cap]


def test_what_is_given_back_in_a_later_period_leaves_the_budget_of_the_old_one(desk: Desk) -> None:
    wallet = desk.a_wallet(BEGIN)
    team = desk.a_budget(wallet, BEGIN, parent=None, app=None, limit=10, period="day")
    _codes(desk, BEGIN, _ask(wallet, "grant", 100), _ask(wallet, "spend", 5, budget_id=team))

    assert _codes(desk, BEGIN + DAY, _ask(wallet, "give_back", undoes_version=2)) == ["ok"]
    assert desk.state(wallet)["budgets"][0][1] == 5

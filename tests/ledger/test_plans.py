"""Posting reads a few rows, however long the history is: also in a database too new to know its tables' sizes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from databases import TestDatabase
from ledger.asking import BEGIN
from ledger.desk import APPS, Desk, moment

from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.requests import Posting
from tallybook.domain.money import Credits

TABLES = ["transfers", "refusals", "holds", "lots", "lot_moves", "notes"]
READ = """
SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint AS rows FROM pg_stat_user_tables
WHERE schemaname = 'tallybook' AND relname = ANY (%(tables)s)
"""


@pytest.fixture
def desk(database: TestDatabase) -> Iterator[Desk]:
    opened = Desk(database.superuser_url)
    opened.one(APPS)
    # Nobody tells the planner, as in the first minutes of an installation.
    for table in TABLES:
        opened.one(f"ALTER TABLE tallybook.{table} SET (autovacuum_enabled = false)")
    opened.connection.commit()
    opened.connection.autocommit = True
    yield opened
    opened.connection.close()


def _read(desk: Desk) -> int:
    desk.one("SELECT pg_stat_force_next_flush()")
    return int(desk.one(READ, {"tables": TABLES})["rows"])


def _round(wallet: int, number: int, budget: int) -> list[Posting]:
    """Both roads, refusals, and a key of the round before."""
    key = f"round-{number}"
    past = f"round-{number - 1}"
    many = Credits.whole(10**6)
    return [
        recipes.spend(wallet, Credits(3), app_id=1, key=f"{key}-a"),
        recipes.spend(wallet, Credits(3), app_id=1, key=f"{past}-a"),
        recipes.spend(wallet, many, app_id=1, key=f"{key}-b"),
        recipes.spend(wallet, many, app_id=1, key=f"{past}-b"),
        recipes.spend(wallet, Credits(3), app_id=1, key=f"{key}-c", budget_id=budget),
        recipes.hold(wallet, Credits(5), app_id=1, key=f"{key}-d", lifetime_seconds=60),
    ]


def test_what_a_posting_reads_does_not_grow_with_the_history(desk: Desk) -> None:
    wallets = [desk.a_wallet(BEGIN) for _ in range(3)]
    budgets = [
        desk.a_budget(wallet, BEGIN, parent=None, app=None, limit=None, period="day") for wallet in wallets
    ]
    for wallet in wallets:
        desk.post(BEGIN, [recipes.adjustment(wallet, Credits.whole(100), app_id=0, key="opening")])
    read, holds = [], dict.fromkeys(wallets, 0)
    for number in range(240):
        before, at = _read(desk), BEGIN + 10 * number
        for wallet, budget in zip(wallets, budgets, strict=True):
            asked = _round(wallet, number, budget)
            if number % 2 and holds[wallet]:
                asked.append(recipes.capture(LedgerId(wallet, holds[wallet]), Credits(2), app_id=1, key=None))
            for one in desk.post(at, asked):
                if one["kind"] == "hold":
                    holds[wallet] = one["hold_version"]
        desk.one("SELECT * FROM tallybook.settle_due_v2(%(at)s, 100)", {"at": moment(at)})
        read.append(_read(desk) - before)

    early, late = sum(read[20:40]), sum(read[220:240])
    assert late < 1.5 * early, read

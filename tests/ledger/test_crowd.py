"""Many processes of many callers on one wallet and on one path of budgets, while connections to PostgreSQL are cut.

``TALLYBOOK_CROWD_PROCESSES=64`` (with ``TALLYBOOK_TEST_CONNECTIONS=600``) is the long run;
``TALLYBOOK_CROWD_CALLERS`` is how many callers each process has, ``TALLYBOOK_CROWD_TURNS`` how many jobs each of them
does. ``pytest -s`` shows figures.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio
from databases import TestDatabase
from ledger import crowd
from ledger.books import Books
from ledger.crowd import Part, Told, journal
from ledger.witness import Seen, Witness
from sdk.cutting_proxy import CuttingProxy, cutting_proxy

from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger import recipes
from tallybook.domain.money import Credits

PROCESSES = int(os.environ.get("TALLYBOOK_CROWD_PROCESSES", "4"))
CALLERS = int(os.environ.get("TALLYBOOK_CROWD_CALLERS", "32"))
TURNS = int(os.environ.get("TALLYBOOK_CROWD_TURNS", "12"))
DEPTH = 6
CONNECTIONS_EACH = 8
# How much each wallet would need if nothing were refused, roughly, and how much of that there is.
DEMAND = PROCESSES // 2 * CALLERS * TURNS * 2
CREDITS = DEMAND // 2
CUT = """
SELECT count(pg_terminate_backend(pid)) FROM (
    SELECT pid FROM pg_stat_activity
    WHERE usename = 'tallybook_service' AND datname = current_database() AND query LIKE '%post_v%'
    ORDER BY random() LIMIT 2
) AS found
"""
PROGRESS = "SELECT (SELECT sum(version) FROM tallybook.wallets) + (SELECT count(*) FROM tallybook.refusals)"
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
COUNTED = {"spend": 1, "hold": 1, "release": -1}


@pytest_asyncio.fixture
async def books(database: TestDatabase) -> AsyncIterator[Books]:
    async with Books.open(database) as opened:
        yield opened


async def _granted(books: Books, wallet: int) -> Seen:
    sent = time.monotonic()
    answer = await books.post(recipes.adjustment(wallet, Credits(CREDITS), app_id=0, key="opening"))
    return Seen(sent, time.monotonic(), answer)


def _path(database: TestDatabase, wallet: int) -> list[int]:
    """Budgets one below the other: of what is asked for at each and below it, about half is allowed."""
    path: list[int] = []
    with psycopg.connect(database.superuser_url) as connection:
        for depth in range(DEPTH):
            limit = CREDITS * (DEPTH - depth) // (DEPTH + 1)
            parent = path[-1] if path else None
            [made] = connection.execute(
                "SELECT tallybook.open_budget_v1(now(), %s, %s, NULL, 'a budget', 'team', %s, 'none')",
                [wallet, parent, limit],
            ).fetchone() or [0]
            path.append(made)
    return path


class Crowd:
    """The processes, and whoever cuts their connections."""

    def __init__(self, database: TestDatabase, parts: Sequence[Part], proxy: CuttingProxy) -> None:
        self.database, self.parts, self.proxy = database, parts, proxy
        self.cuts = 0
        self.asked_again = 0

    async def run(self) -> None:
        """Start them, let them begin together, and wait until all are done."""
        running = [await self._started(part) for part in self.parts]
        for process in running:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
        cutting = asyncio.create_task(self._cut())
        try:
            said = await asyncio.gather(*(process.communicate() for process in running))
        finally:
            for process in running:
                if process.returncode is None:
                    process.kill()
        if cutting.done():
            await cutting
        cutting.cancel()
        assert [process.returncode for process in running] == [0] * len(running)
        self.asked_again = sum(int(out) for out, _ in said)

    async def _started(self, part: Part) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable, crowd.__file__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(asdict(part)).encode() + b"\n")
        assert await process.stdout.readline() == b"ready\n"
        return process

    async def _cut(self) -> None:
        """Cut connections, and lose answers of others; never again before something was done since."""
        seen = 0
        connection = await psycopg.AsyncConnection.connect(self.database.superuser_url, autocommit=True)
        async with connection:
            while True:
                [done] = await (await connection.execute(PROGRESS)).fetchone() or [0]
                if done >= seen + 20:
                    seen = done
                    [cut] = await (await connection.execute(CUT)).fetchone() or [0]
                    self.cuts += cut
                    self.proxy.cuts_left = 1
                await asyncio.sleep(0.05)


def _told_by_key(parts: Sequence[Part]) -> Mapping[str, list[Told]]:
    found: dict[str, list[Told]] = defaultdict(list)
    for part in parts:
        for told in journal(Path(part.journal)):
            found[told.key].append(told)
    return found


def _order(told: Mapping[str, list[Told]]) -> list[Seen]:
    """Each booking once: it happened after somebody first asked, and before somebody was first told."""
    return [
        Seen(min(one.sent for one in each), min(one.received for one in each), each[0].answer)
        for each in told.values()
        if each[0].answer is not None
    ]


async def _most_used(books: Books, wallet: int) -> Counter[int]:
    """The most that each budget has ever had spent and reserved."""
    used, most = Counter[int](), Counter[int]()
    rows = await books.rows(
        f"SELECT kind, amount_micro, budget_ids FROM tallybook.transfers WHERE wallet_id = {wallet} ORDER BY version"
    )
    for row in rows:
        for budget in row["budget_ids"] or ():
            used[budget] += COUNTED.get(row["kind"], 0) * row["amount_micro"]
            most[budget] = max(most[budget], used[budget])
    return most


def _parts(database: TestDatabase, proxy: CuttingProxy, place: Path, wallets: Sequence[int]) -> list[Part]:
    path = _path(database, wallets[1])
    return [
        Part(
            # Each other service comes to PostgreSQL through the proxy, which loses answers.
            url=proxy.url if number % 2 else database.service_url,
            pair=number // 2,
            callers=CALLERS,
            turns=TURNS,
            hot_wallet=wallets[0],
            pooled_wallet=wallets[1],
            path=path,
            journal=str(place / f"{number}.jsonl"),
        )
        for number in range(PROCESSES // 2 * 2)
    ]


async def _no_answer_is_lost_or_doubled(books: Books, told: Mapping[str, list[Told]]) -> None:
    # Both who asked under a key were told the same, and one of them at most that it was new.
    assert all(len(each) == 2 and each[0].lasting == each[1].lasting for each in told.values())
    assert not [1 for each in told.values() if all(one.answer and not one.answer.replayed for one in each)]
    # What was said is what was booked, and nothing else was.
    answers = {key: each[0].answer for key, each in told.items()}
    booked = await books.rows(
        "SELECT key, wallet_id, version FROM tallybook.transfers WHERE app_id = 1 AND key <> ''"
    )
    assert {row["key"]: LedgerId(row["wallet_id"], row["version"]) for row in booked} == {
        key: answer.transfer for key, answer in answers.items() if answer is not None
    }
    assert len(booked) == len({row["key"] for row in booked})
    refused = await books.rows("SELECT key, code FROM tallybook.refusals WHERE app_id = 1")
    assert {row["key"]: row["code"] for row in refused} == {
        key: told[key][0].code for key, answer in answers.items() if answer is None
    }


async def _nobody_ever_had_more_than_there_was(books: Books, pooled_wallet: int) -> None:
    [least] = await books.rows(
        "SELECT min(least(available_after, held_after)) AS least FROM tallybook.transfers"
    )
    assert least["least"] >= 0
    most = await _most_used(books, pooled_wallet)
    limits = await books.rows("SELECT budget_id, limit_micro FROM tallybook.budgets")
    assert len(limits) == len(most) == DEPTH
    assert [row for row in limits if most[row["budget_id"]] > row["limit_micro"]] == []


@pytest.mark.timeout(0)
async def test_a_crowd_of_processes_keeps_every_promise_while_connections_are_cut(
    books: Books, database: TestDatabase, tmp_path: Path
) -> None:
    [room] = await books.rows("SELECT current_setting('max_connections')::integer AS most")
    assert room["most"] > PROCESSES * CONNECTIONS_EACH, "raise TALLYBOOK_TEST_CONNECTIONS"
    wallets = [await books.a_wallet() for _ in range(2)]
    opened = [await _granted(books, wallet) for wallet in wallets]
    with cutting_proxy(database.service_url, b"") as proxy:
        parts, began = _parts(database, proxy, tmp_path, wallets), time.monotonic()
        all_of_them = Crowd(database, parts, proxy)
        await all_of_them.run()
        took = time.monotonic() - began
    told = _told_by_key(parts)
    codes = Counter(each[0].code for each in told.values())
    print(
        f"{len(parts)} processes of {CALLERS} callers were told {sum(map(len, told.values()))} answers in {took:.0f} s;"
        f" {all_of_them.cuts} connections were cut and {proxy.cut} answers lost on the way;"
        f" {all_of_them.asked_again} times a caller asked again; {dict(codes)}"
    )

    assert all_of_them.cuts > 3, "nothing was cut"
    assert proxy.cut > 3, "no answer was lost"
    assert await books.rows(DEADLOCKS) == [{"deadlocks": 0}]
    await _no_answer_is_lost_or_doubled(books, told)
    await _nobody_ever_had_more_than_there_was(books, wallets[1])
    witness = Witness()
    assert witness.objections([*opened, *_order(told)]) == []
    for wallet in wallets:
        assert witness.version(wallet) == (await books.wallet(wallet)).version
    assert codes["insufficient_credits"] > 0
    assert codes["budget_exceeded"] > 0

"""The batch route against COPY: the very rows that batches wrote are then copied into a table like theirs."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from bench import serving
from bench.ground import Ground
from bench.http_load import Order
from bench.plan import Plan
from bench.slices import Figures, Slice, figures

ITEMS = 10_000
CALLERS = (1, 2)
_BODIES = 4
_COPY = "bench.copied"
_ROAD = "/v1/transfers/batch"


@dataclass(frozen=True, slots=True)
class BatchRow:
    """The result of one way with so many callers: rows per second, and latencies of calls of 10,000."""

    way: str
    callers: int
    figures: Figures


@dataclass(frozen=True, slots=True)
class Result:
    """The rows and what went wrong."""

    rows: list[BatchRow]
    faults: list[str]


def measure(ground: Ground, plan: Plan, port: int, api_key: str, users: Sequence[int]) -> Result:
    """In turn with one and two callers: batches through HTTP, then COPY of what they wrote."""
    bodies = [_body(users) for _ in range(_BODIES)]
    posted: dict[int, list[Slice]] = {callers: [] for callers in CALLERS}
    copied: dict[int, list[Slice]] = {callers: [] for callers in CALLERS}
    faults: list[str] = []
    with psycopg.connect(ground.product_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA bench")
        connection.execute(f"CREATE TABLE {_COPY} (LIKE tallybook.transfers INCLUDING ALL)")
        for turn in range(plan.rounds + 1):
            for callers in CALLERS:
                serial = f"route-{turn}-{callers}"
                order = Order(
                    port=port,
                    connections=callers,
                    seconds=plan.seconds if turn else plan.tuning_seconds,
                    method="POST",
                    path=_ROAD,
                    headers={
                        "Authorization": f"Bearer {api_key}",
                        "Idempotency-Key": f"{serial}-{{serial}}",
                    },
                    body="{target}",
                    targets=bodies,
                    serial="",
                )
                before = _pages(connection)
                seen = serving.load([order])[0]
                chunks = _chunks(connection, before, serial)
                calls = seen.statuses.pop("200", 0)
                if seen.statuses or len(chunks) != calls:
                    faults.append(f"{serial}: {calls} calls, {len(chunks)} found; {seen.statuses} {seen.odd}")
                taken = Slice(calls * ITEMS, 0, seen.elapsed_ns, seen.latencies_ns)
                again = _copy(ground.product_url, chunks, callers)
                if turn:
                    posted[callers].append(taken)
                    copied[callers].append(again)
    rows = []
    for callers in CALLERS:
        rows.append(BatchRow("COPY into the same table", callers, figures(copied[callers])))
        rows.append(BatchRow("POST /v1/transfers/batch", callers, figures(posted[callers])))
    return Result(rows, faults)


def _body(users: Sequence[int]) -> str:
    chosen = random.choices(users, k=ITEMS)
    return json.dumps({"items": [{"user_id": user, "amount_micro": 1_000_000} for user in chosen]})


def _pages(connection: psycopg.Connection[tuple[int]]) -> int:
    row = connection.execute(
        "SELECT pg_relation_size('tallybook.transfers') / current_setting('block_size')::int"
    ).fetchone()
    assert row is not None
    return int(row[0])


def _chunks(connection: psycopg.Connection[tuple[int]], since_page: int, keys: str) -> list[bytes]:
    """The rows of the transfers with these keys, as COPY takes them, 10,000 each, in the order of the disk."""
    place = f"({max(0, since_page - 1)},0)"
    with connection.cursor().copy(
        "COPY (SELECT * FROM tallybook.transfers "
        f"WHERE ctid >= '{place}'::tid AND starts_with(key, '{keys}-') ORDER BY ctid) TO STDOUT"
    ) as copy:
        lines = list(b"".join(copy).splitlines(keepends=True))
    return [b"".join(lines[at : at + ITEMS]) for at in range(0, len(lines), ITEMS)]


def _copy(url: str, chunks: Sequence[bytes], callers: int) -> Slice:
    """Copy each chunk in a transaction of its own, over so many connections."""
    taken = Slice()
    waiting = list(chunks)
    guard = threading.Lock()

    def line(connection: psycopg.Connection[tuple[int]]) -> None:
        while True:
            with guard:
                if not waiting:
                    return
                chunk = waiting.pop(0)
            sent = time.perf_counter_ns()
            with connection.cursor().copy(f"COPY {_COPY} FROM STDIN") as copy:
                copy.write(chunk)
            with guard:
                taken.add(sent, ITEMS, 0)

    connections = [psycopg.connect(url, autocommit=True) for _ in range(callers)]
    threads = [threading.Thread(target=line, args=(connection,)) for connection in connections]
    began = time.perf_counter_ns()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken.elapsed_ns = time.perf_counter_ns() - began
    for connection in connections:
        connection.close()
    return taken

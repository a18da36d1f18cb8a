"""``python -m bench.growth``: whether the ledger stays as fast when it has grown.

Spends through group commit are measured on a database without history, then the ledger is filled through the product's
own posting function, and measured again: over the same wallets, and over all of them. It takes minutes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench import filling, ground, machine, sheets, vitals
from bench.slices import NANOSECONDS, Figures, Slice, figures
from bench.ways import ours
from tallybook.postgres.pool import Database

CALLERS = 256
FEW = 10_000
_SLICE_SECONDS = 5.0
_WARM_SECONDS = 3.0
_PATIENCE_MS = 60_000
_TABLES = ("wallets", "transfers", "notes", "lots")
_SIZES = (
    "SELECT relname, pg_table_size(oid), pg_indexes_size(oid) FROM pg_class "
    "WHERE relnamespace = 'tallybook'::regnamespace AND relname = ANY (%s) ORDER BY pg_total_relation_size(oid) DESC"
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """What was seen while callers spent for a minute or so without a pause."""

    name: str
    seconds: float
    figures: Figures
    vitals: vitals.Vitals

    @property
    def sustained(self) -> float:
        """Spends per second over the whole time, the slow moments included."""
        return self.figures.accepted / self.seconds


class Measured:
    """The ledger of one ground: fills it and measures it."""

    def __init__(self, at: ground.Ground, db: Database, given: argparse.Namespace, say: Console) -> None:
        """Nothing is done yet."""
        self._at = at
        self._db = db
        self._given = given
        self._say = say
        self.way = ours.GroupCommitWay(db, at.product_url, CALLERS)
        self.accepted = 0
        self.stretches: list[Stretch] = []

    async def run(self) -> None:
        """Measure, fill, measure."""
        few = await self._wallets(min(FEW, self._given.wallets))
        await self._stretch(f"no history, {len(few):,} wallets", few)
        many = few + await self._wallets(self._given.wallets - len(few))
        wanted = max(0, self._given.transfers - self._at_number("transfers"))
        with self._bar("spends", wanted) as bar:
            began = time.monotonic()
            await filling.add_spends(self._db, many, wanted, bar)
        took = time.monotonic() - began
        self._say.print(f"[dim]{wanted:,} spends in {took:,.0f} s: {wanted / took:,.0f} a second[/dim]")
        with psycopg.connect(self._at.product_url, autocommit=True) as connection:
            connection.execute("ANALYZE")
        name = f"{self._given.transfers:,} transfers"
        await self._stretch(f"{name}, the same {len(few):,} wallets", few)
        await self._stretch(f"{name}, {len(many):,} wallets", many)

    def _at_number(self, table: str) -> int:
        with psycopg.connect(self._at.product_url) as connection:
            row = connection.execute(f"SELECT count(*) FROM tallybook.{table}").fetchone()
        assert row is not None
        return int(row[0])

    async def _wallets(self, count: int) -> list[int]:
        with self._bar("wallets", count) as bar:
            return await filling.add_wallets(self._db, self._at.product_url, count, bar)

    async def _stretch(self, name: str, wallets: Sequence[int]) -> None:
        self._say.print(f"[dim]Measuring: {name} …[/dim]")
        self.accepted += (await self.way.measure(wallets, _WARM_SECONDS)).accepted
        with psycopg.connect(self._at.product_url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
        before = vitals.look(self._at.product_url)
        slices: list[Slice] = []
        began = time.perf_counter_ns()
        while time.perf_counter_ns() - began < self._given.seconds * NANOSECONDS:
            slices.append(await self.way.measure(wallets, min(_SLICE_SECONDS, self._given.seconds)))
        elapsed = (time.perf_counter_ns() - began) / NANOSECONDS
        self.accepted += sum(one.accepted for one in slices)
        seen = vitals.look(self._at.product_url) - before
        self.stretches.append(Stretch(name, elapsed, figures(slices), seen))

    @contextmanager
    def _bar(self, what: str, total: int) -> Iterator[filling.Progress]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._say, transient=True) as drawn:
            task = drawn.add_task(what, total=total)
            yield lambda done: drawn.advance(task, done)


def sheet_of_rates(stretches: Sequence[Stretch]) -> sheets.Sheet:
    """The rates, and what share of the first one is left."""
    rows = []
    for one in stretches:
        spends, seen = one.figures.accepted, one.vitals
        rows.append(
            [
                one.name,
                f"{one.sustained:,.0f}",
                f"{one.figures.slowest:,.0f}…{one.figures.fastest:,.0f}",
                f"{one.figures.p50_ms:.1f}",
                f"{one.figures.p99_ms:.1f}",
                f"{one.sustained / stretches[0].sustained:.2f}",
                f"{seen.cpu_ms * 1000 / spends:.1f}",
                f"{seen.checkpoints}",
                f"{seen.wal_bytes / spends:,.0f}",
                f"{seen.wal_full_pages / spends:.2f}",
                f"{seen.blocks_read / spends:.2f}",
            ]
        )
    columns = (
        "spends through group commit",
        "a second",
        "slices",
        "p50 ms",
        "p99 ms",
        "of the first",
        "CPU µs",
        "checkpoints",
        "WAL bytes",
        "full pages",
        "blocks read",
    )
    notes = (
        f"{CALLERS} callers, {stretches[0].seconds:.0f} s each without a pause.",
        "Per spend: PostgreSQL's processor time, WAL, whole pages in it, blocks that were not in its buffers.",
    )
    return sheets.Sheet("Growth", columns, rows, notes)


def _sheet_of_sizes(product_url: str) -> sheets.Sheet:
    with psycopg.connect(product_url) as connection:
        sizes = connection.execute(_SIZES, [list(_TABLES)]).fetchall()
        rows = []
        for name, table, indexes in sizes:
            row = connection.execute(f"SELECT count(*) FROM tallybook.{name}").fetchone()
            assert row is not None
            rows.append([name, f"{row[0]:,}", f"{table / 2**20:,.0f}", f"{indexes / 2**20:,.0f}"])
    return sheets.Sheet("Sizes", ("table", "rows", "MiB", "indexes, MiB"), rows)


async def _measure(at: ground.Ground, given: argparse.Namespace, say: Console) -> Measured:
    db = await Database.connect(at.service_url, patience_ms=_PATIENCE_MS)
    try:
        measured = Measured(at, db, given, say)
        try:
            await measured.run()
        finally:
            await measured.way.close()
        return measured
    finally:
        await db.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--transfers", type=int, default=10_000_000, help="how many there are in the end")
    parser.add_argument("--wallets", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each measurement lasts")
    parser.add_argument("--no-verify", action="store_true", help="do not verify the whole ledger at the end")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="of PostgreSQL")
    parser.add_argument("--folder", type=Path, help="where the database goes, and stays")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="put the tables into this document")
    return parser.parse_args()


def main() -> int:
    """Run it; 1 when a spend is missing or the books do not tie."""
    given, say = _arguments(), Console(stderr=True)
    settings = dict(one.split("=", 1) for one in given.set)
    with ground.prepared(kept=given.folder, settings=settings) as at:
        facts = machine.describe(at.superuser_url, at.folder)
        measured = uvloop.run(_measure(at, given, say))
        found = [sheet_of_rates(measured.stretches), _sheet_of_sizes(at.product_url)]
        faults = uvloop.run(measured.way.faults(measured.accepted))
        if not given.no_verify:
            say.print("[dim]Verifying the whole ledger …[/dim]")
            began = time.monotonic()
            faults += ours.broken_promises(at.product_url)
            say.print(f"[dim]Verified in {time.monotonic() - began:,.0f} s.[/dim]")
    drawn = [machine.sheet({**facts, "load after": machine.load()}), *found]
    sheets.draw(drawn, sheets.console())
    for fault in faults:
        print(f"✗ {fault}")
    if given.markdown is not None:
        sheets.put_into(given.markdown, "growth", sheets.markdown(drawn))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

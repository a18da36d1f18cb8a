"""``python -m bench.growth``: whether the ledger stays as fast when it has grown.

Spends through group commit on a database without history, and on one that was filled through the product's own posting
function, over as many wallets and over all of them. The slices take turns. Filling takes minutes.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench import filling, ground, machine, sheets, vitals
from bench.slices import NANOSECONDS, Slice, figures
from bench.ways import ours
from tallybook.postgres.pool import Database

CALLERS = 256
FEW = 10_000
_SLICE_SECONDS = 10.0
_PATIENCE_MS = 60_000
_TABLES = ("wallets", "transfers", "notes", "lots")
_SIZES = (
    "SELECT relname, pg_table_size(oid), pg_indexes_size(oid) FROM pg_class "
    "WHERE relnamespace = 'tallybook'::regnamespace AND relname = ANY (%s) ORDER BY pg_total_relation_size(oid) DESC"
)


@dataclass(slots=True)
class Ledger:
    """A product's database, and the callers who spend there through group commit."""

    at: ground.Ground
    db: Database
    way: ours.GroupCommitWay
    accepted: int = 0

    @classmethod
    @asynccontextmanager
    async def opened(cls, at: ground.Ground) -> AsyncIterator[Ledger]:
        """Open it for as long as the block runs."""
        db = await Database.connect(at.service_url, patience_ms=_PATIENCE_MS)
        # Keys of its own: a database that was kept has those of the run before.
        way = ours.GroupCommitWay(db, at.product_url, CALLERS, keys=f"growth-{secrets.token_hex(4)}-")
        try:
            yield cls(at, db, way)
        finally:
            await way.close()
            await db.close()

    def numbers(self, query: str) -> list[int]:
        """The first column of a query's rows."""
        with psycopg.connect(self.at.product_url, autocommit=True) as connection:
            return [int(row[0]) for row in connection.execute(query).fetchall()]

    def command(self, command: str) -> None:
        """Run a command outside any transaction."""
        with psycopg.connect(self.at.product_url, autocommit=True) as connection:
            connection.execute(command)


@dataclass(slots=True)
class Stretch:
    """What was seen while callers spent from these wallets, in slices that took turns with those of the others."""

    name: str
    ledger: Ledger
    wallets: Sequence[int]
    slices: list[Slice] = field(default_factory=list)
    vitals: vitals.Vitals = field(default_factory=vitals.Vitals)

    async def run(self, seconds: float) -> Slice:
        """Spend for so long; it counts for the books only."""
        taken = await self.ledger.way.measure(self.wallets, seconds)
        self.ledger.accepted += taken.accepted
        return taken

    async def measure(self, seconds: float) -> None:
        """One slice."""
        before = vitals.look(self.ledger.at.product_url)
        self.slices.append(await self.run(seconds))
        self.vitals += vitals.look(self.ledger.at.product_url) - before

    @property
    def sustained(self) -> float:
        """Spends per second over the whole time, the slow moments included."""
        elapsed = sum(one.elapsed_ns for one in self.slices)
        return sum(one.accepted for one in self.slices) * NANOSECONDS / elapsed


async def _filled(grown: Ledger, given: argparse.Namespace, say: Console) -> list[int]:
    """All wallets of a ledger that has as many wallets and transfers as it shall have."""
    url = grown.at.product_url
    wallets = grown.numbers("SELECT wallet_id FROM tallybook.wallets ORDER BY wallet_id")
    with _bar(say, "wallets", given.wallets - len(wallets)) as bar:
        wallets += await filling.add_wallets(grown.db, url, given.wallets - len(wallets), bar)
    wanted = given.transfers - grown.numbers("SELECT count(*) FROM tallybook.transfers")[0]
    if wanted > 0:
        began = time.monotonic()
        with _bar(say, "spends", wanted) as bar:
            await filling.add_spends(grown.db, wallets, wanted, bar)
        took = time.monotonic() - began
        say.print(f"[dim]{wanted:,} spends in {took:,.0f} s: {wanted / took:,.0f} a second.[/dim]")
        grown.command("VACUUM ANALYZE")
    return wallets


async def _measure(fresh: Ledger, grown: Ledger, given: argparse.Namespace, say: Console) -> list[Stretch]:
    many = await _filled(grown, given, say)
    few = min(FEW, len(many))
    new = await filling.add_wallets(fresh.db, fresh.at.product_url, few, lambda _: None)
    fresh.command("VACUUM ANALYZE")
    stretches = [
        Stretch(f"no history, {few:,} wallets", fresh, new),
        Stretch(f"{given.transfers:,} transfers, {few:,} of the wallets", grown, many[:few]),
        Stretch(f"{given.transfers:,} transfers, {len(many):,} wallets", grown, many),
    ]
    for one in stretches:
        # After a checkpoint the first change of each page goes to the WAL whole: warming up takes the first of it.
        one.ledger.command("CHECKPOINT")
        await one.run(given.warm)
    rounds = max(1, round(given.seconds / _SLICE_SECONDS))
    for number in range(rounds):
        say.print(f"[dim]Measuring, round {number + 1} of {rounds} …[/dim]")
        for one in stretches:
            await one.measure(min(_SLICE_SECONDS, given.seconds))
    return stretches


@contextmanager
def _bar(say: Console, what: str, total: int) -> Iterator[filling.Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=say, transient=True) as drawn:
        task = drawn.add_task(what, total=total)
        yield lambda done: drawn.advance(task, done)


def sheet_of_rates(stretches: Sequence[Stretch]) -> sheets.Sheet:
    """The rates, and what share of the first one is left."""
    rows = []
    for one in stretches:
        seen, what = figures(one.slices), one.vitals
        spends = seen.accepted
        rows.append(
            [
                one.name,
                f"{one.sustained:,.0f}",
                *sheets.cells(seen)[1:],
                f"{one.sustained / stretches[0].sustained:.2f}",
                f"{what.cpu_ms * 1000 / spends:.1f}",
                f"{what.checkpoints}",
                f"{what.wal_bytes / spends:,.0f}",
                f"{what.wal_full_pages / spends:.2f}",
                f"{what.blocks_read / spends:.2f}",
            ]
        )
    columns = (
        "spends through group commit",
        *sheets.RATES,
        "of the first",
        "CPU µs",
        "checkp.",
        "WAL bytes",
        "full pages",
        "blocks read",
    )
    notes = (
        f"{CALLERS} callers; {len(stretches[0].slices)} slices of {_SLICE_SECONDS:g} s each, in turn; the mean.",
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


async def _run(
    fresh: ground.Ground, grown: ground.Ground, given: argparse.Namespace, say: Console
) -> tuple[list[Stretch], list[str]]:
    async with Ledger.opened(fresh) as small, Ledger.opened(grown) as large:
        stretches = await _measure(small, large, given, say)
        lost = [fault for one in (small, large) for fault in await one.way.faults(one.accepted)]
        return stretches, lost


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--transfers", type=int, default=10_000_000, help="how many there are in the end")
    parser.add_argument("--wallets", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each is measured, in slices")
    parser.add_argument(
        "--warm", type=float, default=10.0, help="seconds that each warms up, from a checkpoint on"
    )
    parser.add_argument("--no-verify", action="store_true", help="do not verify the whole ledger at the end")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="of PostgreSQL")
    parser.add_argument(
        "--folder", type=Path, help="where the filled database goes, and stays for the next run"
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="put the tables into this document")
    return parser.parse_args()


def main() -> int:
    """Run it; 1 when a spend is missing or the books do not tie."""
    given, say = _arguments(), Console(stderr=True)
    ground.end_when_told()
    settings = dict(one.split("=", 1) for one in given.set)
    with (
        ground.prepared(settings=settings) as fresh,
        ground.prepared(kept=given.folder, settings=settings) as grown,
    ):
        facts = machine.describe(grown.superuser_url, grown.folder)
        stretches, faults = uvloop.run(_run(fresh, grown, given, say))
        found = [sheet_of_rates(stretches), _sheet_of_sizes(grown.product_url)]
        if not given.no_verify:
            say.print("[dim]Verifying the whole ledger …[/dim]")
            began = time.monotonic()
            faults += ours.broken_promises(grown.product_url)
            facts["ledger verify"] = f"{time.monotonic() - began:,.0f} s, {len(faults)} faults"
    drawn = [machine.sheet({**facts, "load after": machine.load()}), *found]
    sheets.draw(drawn, sheets.console())
    for fault in faults:
        print(f"✗ {fault}")
    if given.markdown is not None:
        sheets.put_into(given.markdown, "growth", sheets.markdown(drawn))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

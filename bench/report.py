"""The outcome of one run: as tables for people, as one document for programs, and whether it is a failure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from bench import through_http
from bench.in_process import LOADS, Result, Row
from bench.overspend import AT_ONCE, CREDITS, EACH, RIGHT, Trials
from bench.through_http import CONNECTIONS, HttpRow
from bench.ways.row_lock import RowLockWay
from bench.ways.seeds import SeedsThreadsWay

_TITLES = {"uniform": "uniform", "hot": "one hot wallet"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that one run has seen."""

    machine: dict[str, str]
    wallets: int
    slice_seconds: float
    rounds: int
    in_process: Result
    overspend: list[Trials]
    http: through_http.Result
    broken_promises: list[str]

    def failures(self) -> list[str]:
        """What must not be: books that do not tie, and any overspend or wrong refusal of the product's."""
        wrong = [
            f"{trials.way}: accepted {trials.accepted} instead of {RIGHT}"
            for trials in self.overspend
            if trials.way.startswith("Tallybook") and not trials.right
        ]
        broken = [f"ledger verify: {fault}" for fault in self.broken_promises]
        return [*wrong, *self.in_process.faults, *self.http.faults, *broken]

    def document(self) -> dict[str, Any]:
        """The same for programs: rates per second, latencies in milliseconds, ratios against the row lock."""
        return {
            "machine": self.machine,
            "plan": {
                "wallets": self.wallets,
                "slice_seconds": self.slice_seconds,
                "rounds": self.rounds,
            },
            "overspend": [{**asdict(trials), "right": trials.right} for trials in self.overspend],
            "in_process": [
                {**asdict(row), "ratios": ratios(row, self.in_process.rows)} for row in self.in_process.rows
            ],
            "http": [
                {**asdict(row), "ratio_to_no_op": http_ratio(row, self.http.rows)} for row in self.http.rows
            ],
            "failures": self.failures(),
        }


def ratios(row: Row, rows: list[Row]) -> dict[str, float]:
    """How many times as fast as the two baselines under the same load of the same run."""
    rates = {other.way: other.figures.rate for other in rows if other.load == row.load}
    return {
        "seeds": row.figures.rate / rates[SeedsThreadsWay.name],
        "row_lock": row.figures.rate / rates[RowLockWay.name],
    }


def http_ratio(row: HttpRow, rows: list[HttpRow]) -> float:
    """The share of the rate of the no-op of the same pipeline in the same run."""
    return row.figures.rate / rows[0].figures.rate


def draw(report: Report, console: Console) -> None:
    """Print the tables and the verdict."""
    console.print(_machine(report))
    console.print(_overspend(report.overspend))
    for load in LOADS:
        console.print(_in_process(report, load))
    console.print(_http(report))
    failures = report.failures()
    for failure in failures:
        console.print(f"[red]✗ {failure}[/red]")
    if not failures:
        told = ", ".join(f"{number:,}" for number in report.in_process.acknowledged.values())
        console.print(f"[green]✓ Every acknowledged spend was found ({told}), and all books tie.[/green]")


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )


def _machine(report: Report) -> Table:
    table = _table("The machine")
    table.show_header = False
    table.add_column("", no_wrap=True)
    table.add_column("")
    for name, value in report.machine.items():
        table.add_row(name, value)
    table.add_row("slices", f"{report.rounds} of {report.slice_seconds:g} s each, interleaved; medians")
    return table


def _overspend(trials: list[Trials]) -> Table:
    table = _table(f"Overspending: {CREDITS} credits, {AT_ONCE} spends of {EACH} at once")
    table.add_column("way")
    table.add_column(f"accepted, {RIGHT} is right")
    table.add_column("")
    for one in trials:
        verdict = "[green]right[/green]" if one.right else "[red]overspends[/red]"
        table.add_row(one.way, ", ".join(str(number) for number in one.accepted), verdict)
    return table


def _in_process(report: Report, load: str) -> Table:
    wallets = f", {report.wallets:,} wallets" if load == "uniform" else ""
    table = _table(f"Durable spends in the process, {_TITLES[load]}{wallets}")
    table.add_column("way", no_wrap=True)
    for name in ("a second", "slices", "p50 ms", "p99 ms", "vs seeds", "vs lock"):
        table.add_column(name, justify="right")
    rows = report.in_process.rows
    shown = [row for row in rows if row.load == load]
    table.caption = "\n".join(f"{row.way}: {row.remark}" for row in shown)
    for row in shown:
        seen = row.figures
        against = ratios(row, rows)
        table.add_row(
            row.way,
            f"{seen.rate:,.0f}",
            f"{seen.slowest:,.0f}…{seen.fastest:,.0f}",
            f"{seen.p50_ms:.1f}",
            f"{seen.p99_ms:.1f}",
            f"{against['seeds']:.1f}",
            f"{against['row_lock']:.1f}",
        )
    return table


def _http(report: Report) -> Table:
    table = _table(f"Through HTTP, {CONNECTIONS} connections, one worker, requests with an API key")
    table.add_column("request")
    for name in ("a second", "slices", "p50 ms", "p99 ms", "vs no-op"):
        table.add_column(name, justify="right")
    for row in report.http.rows:
        seen = row.figures
        table.add_row(
            row.request,
            f"{seen.rate:,.0f}",
            f"{seen.slowest:,.0f}…{seen.fastest:,.0f}",
            f"{seen.p50_ms:.1f}",
            f"{seen.p99_ms:.1f}",
            f"{http_ratio(row, report.http.rows):.2f}",
        )
    return table

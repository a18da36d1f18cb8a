"""A report as tables."""

from __future__ import annotations

from bench import machine
from bench.batches import ITEMS
from bench.in_process import ALONE, LOADS, READS
from bench.intake import CONNECTIONS, LATE_MS
from bench.overspend import AT_ONCE, CREDITS, EACH, RIGHT
from bench.report import Report, http_ratios, of_copy, ratios
from bench.sheets import RATES, Sheet, cells

_TITLES = {"uniform": "uniform", "hot": "one hot wallet"}


def of(report: Report) -> list[Sheet]:
    """All tables of a run, in the order in which they are read."""
    return [
        _machine(report),
        _overspend(report),
        *(_in_process(report, load) for load in LOADS),
        _alone(report),
        _http(report),
        _batches(report),
        _intake(report),
        _worker(report),
        _reads(report),
    ]


def _machine(report: Report) -> Sheet:
    slices = f"{report.rounds} of {report.slice_seconds:g} s each, interleaved; medians"
    return machine.sheet({**report.machine, "slices": slices})


def _overspend(report: Report) -> Sheet:
    rows = [
        [one.way, ", ".join(str(number) for number in one.accepted), "right" if one.right else "overspends"]
        for one in report.overspend
    ]
    title = f"Overspending: {CREDITS} credits, {AT_ONCE} spends of {EACH} at once"
    return Sheet(title, ("way", f"accepted, {RIGHT} is right", ""), rows)


def _in_process(report: Report, load: str) -> Sheet:
    wallets = f", {report.wallets:,} wallets" if load == "uniform" else ""
    shown = [row for row in report.in_process.rows if row.load == load]
    rows = []
    for row in shown:
        against = ratios(row, report.in_process.rows)
        rows.append([row.way, *cells(row.figures), f"{against['seeds']:.1f}", f"{against['row_lock']:.1f}"])
    return Sheet(
        f"Durable spends in the process, {_TITLES[load]}{wallets}",
        ("way", *RATES, "vs seeds", "vs row lock"),
        rows,
        [f"{row.way}: {row.remark}" for row in shown] if load == "uniform" else [],
    )


def _alone(report: Report) -> Sheet:
    rows = [
        [row.way, *cells(row.figures), f"{ratios(row, report.in_process.rows)['row_lock']:.2f}"]
        for row in report.in_process.rows
        if row.load == ALONE
    ]
    title = f"One lonely caller in the process, {report.wallets:,} wallets"
    return Sheet(title, ("way", *RATES, "vs row lock"), rows)


def _reads(report: Report) -> Sheet:
    shown = [row for row in report.in_process.rows if row.load == READS]
    rows = [[row.way, *cells(row.figures)] for row in shown]
    return Sheet(
        f"Balances read in the process, {shown[0].callers} callers",
        ("way", *RATES),
        rows,
        [f"{row.way}: {row.remark}" for row in shown],
    )


def _http(report: Report) -> Sheet:
    rows = []
    for row in report.http.rows:
        against = http_ratios(row, report.http.rows)
        of_no_op = against.pop("no_op", None)
        rows.append(
            [
                f"{row.request}, {_TITLES[row.load]}" if row.table else row.request,
                f"{row.connections}",
                *cells(row.figures),
                "–" if of_no_op is None else f"{of_no_op:.0%}",
                *(
                    f"{against[name]:.1f}" if name in against else "–"
                    for name in ("fastapi", "row_lock", "seeds")
                ),
            ]
        )
    best = report.http.row_lock_connections
    return Sheet(
        "Through HTTP, one worker each",
        ("request", "connections", *RATES, "of the no-op", "vs FastAPI's", "vs row lock", "vs seeds"),
        rows,
        [
            f"FastAPI, row lock: {best['uniform']} connections to the database, {best['hot']} for the hot wallet",
            "FastAPI, the seeds' way: 64 connections to the database; its rate falls as its history grows",
        ],
    )


def _batches(report: Report) -> Sheet:
    found = report.http.batches.rows
    rows = []
    for row in found:
        share = of_copy(row, found)
        rows.append([row.way, f"{row.callers}", *cells(row.figures), "" if share == 1 else f"{share:.0%}"])
    title = f"Batches of {ITEMS:,}: transfers a second; latencies of a call"
    return Sheet(title, ("way", "callers", *RATES, "of COPY"), rows)


def _intake(report: Report) -> Sheet:
    rows = [
        [f"{row.way}: {row.load}", *cells(row.figures), f"{row.late:.1%}"] for row in report.taken_in.rows
    ]
    return Sheet(
        "Stripe's events taken in, a worker beside it",
        ("events", *RATES, f"over {LATE_MS} ms"),
        rows,
        [f"{CONNECTIONS} connections; by the clock, an answer's time counts from when its event was due"],
    )


def _worker(report: Report) -> Sheet:
    rows = [
        [
            row.load,
            f"{row.events:,}",
            f"{row.rate:,.0f}",
            *(
                "–" if value is None else f"{value:,.0f}"
                for value in (row.p50_ms, row.p99_ms, row.left_halfway, row.left, row.oldest_ms)
            ),
        ]
        for row in report.taken_in.worker
    ]
    return Sheet(
        "The worker: events settled",
        (
            "events",
            "how many",
            "a second",
            "p50 ms",
            "p99 ms",
            "left halfway",
            "left at the end",
            "oldest ms",
        ),
        rows,
        ["ms: from when the event came; a payment has two events that the worker works on"],
    )

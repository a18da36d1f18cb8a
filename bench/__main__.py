"""``python -m bench``: measure, print tables (or ``--json``), fail when the product's books do not tie."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import time
from pathlib import Path

import uvloop
from rich.console import Console

from bench import ground, in_process, intake, machine, overspend, plan, report, sheets, tables, through_http
from bench.ways import ours
from tallybook.postgres.pool import Database


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=float, help="how long one slice lasts")
    parser.add_argument("--quick", action="store_true", help="about two minutes, rougher figures")
    parser.add_argument("--json", action="store_true", help="for programs: one JSON document")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="put the tables into this document")
    found = parser.parse_args()
    if found.seconds is not None and not 0.1 <= found.seconds <= 60:
        parser.error("--seconds must be between 0.1 and 60")
    return found


async def _in_process(
    at: ground.Ground, wanted: plan.Plan
) -> tuple[in_process.Result, list[overspend.Trials]]:
    db = await Database.connect(at.service_url)
    try:
        trials = await overspend.demonstrate(at, wanted, db)
        return await in_process.measure(at, wanted, db), trials
    finally:
        await db.close()


def _run(wanted: plan.Plan, say: Console) -> report.Report:
    began, secret = time.monotonic(), secrets.token_hex(32)
    say.print("[dim]Starting a durable PostgreSQL of this run's own …[/dim]")
    with ground.prepared() as at:
        facts = machine.describe(at.superuser_url, at.folder)
        say.print("[dim]Measuring in the process …[/dim]")
        result, trials = uvloop.run(_in_process(at, wanted))
        say.print("[dim]Measuring through HTTP …[/dim]")
        http = through_http.measure(at, wanted, secret)
        say.print("[dim]Delivering Stripe's events …[/dim]")
        taken_in = intake.measure(at, wanted, secret)
        say.print("[dim]Verifying the ledger …[/dim]")
        broken = ours.broken_promises(at.product_url)
    return report.Report(
        machine={
            **facts,
            "load after": machine.load(),
            "took": f"{time.monotonic() - began:.0f} s",
        },
        wallets=wanted.wallets,
        slice_seconds=wanted.seconds,
        rounds=wanted.rounds,
        in_process=result,
        http=http,
        taken_in=taken_in,
        overspend=trials,
        broken_promises=broken,
    )


def _show(found: report.Report) -> None:
    sheets.draw(tables.of(found), sheets.console())
    failures = found.failures()
    for failure in failures:
        print(f"✗ {failure}")
    if not failures:
        told = found.in_process.acknowledged
        print(
            f"✓ Every acknowledged spend was found ({told:,} in the process), each event is in the inbox once,"
        )
        print("  each payment is granted once, and all books tie.")


def main() -> int:
    """Run the benchmark; 1 when the product overspent, lost an answer or has books that do not tie."""
    given = _arguments()
    ground.end_when_told()
    wanted = plan.plan(quick=given.quick, seconds=given.seconds)
    say = Console(stderr=True)
    try:
        found = _run(wanted, say)
    except KeyboardInterrupt:
        say.print("Interrupted; everything that was started has been ended and removed.")
        return 130
    if given.json:
        print(json.dumps(found.document(), indent=2))
    else:
        _show(found)
    if given.markdown is not None:
        sheets.put_into(given.markdown, "make bench", sheets.markdown(tables.of(found)))
    return 1 if found.failures() else 0


if __name__ == "__main__":
    sys.exit(main())

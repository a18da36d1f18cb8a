"""tallybook reconcile and tallybook findings: compare Stripe with our books, mend what differs, see what is left."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from tallybook.cli.output import AsJson, console, show_facts, show_rows, utc
from tallybook.cli.roof import EXIT_REFUSED, OPERATOR, run
from tallybook.domain.ids import parse_plain_id, plain_id
from tallybook.domain.payments.reconciling import FindingStatus, KnownFinding, Run
from tallybook.usecases.context import Context
from tallybook.usecases.reconciling import runs
from tallybook.worker.reconciling import reconcile as carried_out

SHOWN = 1000
app = typer.Typer(help="What the reconciler found: list it, acknowledge it.", no_args_is_help=True)


def reconcile(
    context: typer.Context,
    apply: Annotated[
        bool, typer.Option("--apply/--dry-run", help="Mend what can be; a dry run only looks.")
    ] = False,
    since: Annotated[
        datetime | None,
        typer.Option("--since", help="Objects made from then on (UTC; default: where the last one ended)."),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--until", help="And before then (UTC; default: now, less --grace).")
    ] = None,
    grace: Annotated[
        int,
        typer.Option("--grace", help="Leave alone what is younger than so many seconds.", min=0, max=86400),
    ] = int(runs.GRACE.total_seconds()),
    as_json: AsJson = False,
) -> None:
    """Compare Stripe with our books. Ends with status 1 while differences are open."""
    with _bars() as bar:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=None)
            bar.advance(tasks[what], done)

        async def work(ctx: Context) -> tuple[Run, list[KnownFinding]]:
            asked = await runs.request(ctx, OPERATOR, applies=apply, since=utc(since), until=utc(until))
            ended = await carried_out(ctx, asked, grace=timedelta(seconds=grace), progress=show)
            return ended, await runs.findings(ctx, OPERATOR, limit=SHOWN)

        ended, left = run(context, work)
    if as_json:
        show_facts(_facts(ended) | {"findings": [_row(one) for one in left]}, as_json=True)
    else:
        show_facts({name: fact for name, fact in _facts(ended).items() if name != "totals"}, as_json=False)
        show_rows(list(ended.totals), as_json=False, title="Days", empty="No money moved in this time.")
        show_rows([_row(one) for one in left], as_json=False, title="Open", empty="Nothing differs.")
        if ended.differences and not apply:
            console.print("This was a dry run: --apply mends what has a repair.")
    if ended.differences:
        raise typer.Exit(EXIT_REFUSED)


@app.command("list")
def list_findings(
    context: typer.Context,
    status: Annotated[
        FindingStatus | None, typer.Option("--status", help="Only of this status.")
    ] = FindingStatus.OPEN,
    code: Annotated[str | None, typer.Option("--code", help="Only of this code.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=SHOWN)] = 100,
    as_json: AsJson = False,
) -> None:
    """What differs between Stripe and our books, newest first."""

    async def work(ctx: Context) -> list[KnownFinding]:
        return await runs.findings(ctx, OPERATOR, status=status, code=code, limit=limit)

    rows = [_row(one) for one in run(context, work)]
    show_rows(rows, as_json=as_json, empty="Nothing differs.")


@app.command("acknowledge")
def acknowledge(
    context: typer.Context,
    finding: Annotated[str, typer.Argument(help="The finding's id (fnd_…).")],
    reason: Annotated[str, typer.Option("--reason", help="Why it may stay, for whoever looks later.")],
    as_json: AsJson = False,
) -> None:
    """Let a finding stay as it is; it comes back when what differs changes."""

    async def work(ctx: Context) -> KnownFinding:
        return await runs.acknowledge(ctx, OPERATOR, parse_plain_id("fnd", finding), reason=reason)

    show_facts(_row(run(context, work)), as_json=as_json)


def _bars() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}"))
    return Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True)


def _facts(found: Run) -> dict[str, Any]:
    return {
        "reconciliation": plain_id("rec", found.reconciliation_id),
        "status": found.status,
        "dry_run": not found.applies,
        "since": found.since,
        "until": found.until,
        "events_fetched": found.events_fetched,
        "events_missing": found.events_missing,
        "objects_compared": found.objects_compared,
        "found": found.found,
        "repaired": found.repaired,
        "differences": found.differences,
        "notices": found.notices,
        "totals": list(found.totals),
    }


def _row(known: KnownFinding) -> dict[str, Any]:
    found = known.finding
    return {
        "finding": plain_id("fnd", known.finding_id),
        "code": found.code,
        "object": found.object_id,
        "user": found.user_id,
        "expected": found.expected,
        "found": found.found,
        "repair": found.repair,
        "status": str(known.status),
        "outcome": known.outcome,
        "severity": str(found.severity),
    }

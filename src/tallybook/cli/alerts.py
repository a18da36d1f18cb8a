"""tallybook alerts: set limits that are watched for, end them, and read what was announced."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tallybook.cli.output import AsJson, console, show_facts, show_rows
from tallybook.cli.roof import OPERATOR, run
from tallybook.domain.alerts.alerts import Alert, AlertKind, AlertTerms, Announcement, Span
from tallybook.domain.ids import parse_plain_id, plain_id
from tallybook.domain.money import Credits
from tallybook.usecases import alerts
from tallybook.usecases.context import Context

app = typer.Typer(help="Spend alerts: add, list, end; and what was announced.", no_args_is_help=True)
OfUser = Annotated[int | None, typer.Option("--user", help="Of this user's wallet.", min=1)]
ANNOUNCEMENT_MAX = 2**62


@app.command("add")
def add(
    context: typer.Context,
    kind: Annotated[AlertKind, typer.Argument(help="What to watch.")],
    credits: Annotated[str, typer.Argument(help="The balance, the spending or the budget, in credits.")],
    user: Annotated[
        int | None, typer.Option("--user", help="Whose wallet; default: every one.", min=1)
    ] = None,
    margin: Annotated[
        str | None, typer.Option(help="low_balance: armed again this far above, in credits.")
    ] = None,
    span: Annotated[
        Span | None, typer.Option(help="burn_rate: hour or day; spend_threshold: day or month.")
    ] = None,
    rearm_percent: Annotated[int | None, typer.Option(help="burn_rate: armed again below this part.")] = None,
    percent: Annotated[list[int] | None, typer.Option(help="spend_threshold: repeat for each.")] = None,
    as_json: AsJson = False,
) -> None:
    """Set an alert on a user's wallet, or (without --user) on every wallet."""

    async def work(ctx: Context) -> Alert:
        terms = AlertTerms(
            kind=kind,
            amount_micro=Credits.parse(credits).micro,
            margin_micro=None if margin is None else Credits.parse(margin).micro,
            span=span,
            rearm_percent=rearm_percent,
            percents=tuple(percent) if percent else None,
        )
        place = alerts.Place(user_id=user, every_wallet=user is None)
        return (await alerts.add(ctx, OPERATOR, place, terms)).alert

    show_facts(_facts(run(context, work)), as_json=as_json)


@app.command("list")
def list_alerts(
    context: typer.Context,
    user: OfUser = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    as_json: AsJson = False,
) -> None:
    """Alerts in the order they were set."""

    async def work(ctx: Context) -> list[Alert]:
        return await alerts.page(ctx, OPERATOR, alerts.Place(user_id=user), limit=limit)

    rows = [_facts(found) for found in run(context, work)]
    show_rows(rows, as_json=as_json, empty="None yet: tallybook alerts add low_balance 10.")


@app.command("end")
def end(
    context: typer.Context, alert: Annotated[str, typer.Argument(help="The alert's id (alr_...).")]
) -> None:
    """Watch no more; what was announced stays."""

    async def work(ctx: Context) -> None:
        await alerts.end(ctx, OPERATOR, parse_plain_id("alr", alert))

    run(context, work)
    console.print(f"{alert} has ended.")


@app.command("announcements")
def list_announcements(
    context: typer.Context,
    user: OfUser = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    as_json: AsJson = False,
) -> None:
    """What was announced, newest first."""

    async def work(ctx: Context) -> list[Announcement]:
        place = alerts.Place(user_id=user)
        return await alerts.announcements(ctx, OPERATOR, place, before=ANNOUNCEMENT_MAX, limit=limit)

    rows = [
        {
            "announcement": plain_id("ann", found.announcement_id),
            "kind": found.kind,
            "wallet": None if found.wallet_id is None else plain_id("wal", found.wallet_id),
            "happened_at": found.happened_at,
            "facts": dict(found.facts) if as_json else _words(found),
        }
        for found in run(context, work)
    ]
    show_rows(rows, as_json=as_json, empty="Nothing was announced yet; the worker looks: tallybook serve.")


def _words(found: Announcement) -> str:
    """The facts for people: amounts in credits."""
    return ", ".join(
        f"{name.removesuffix('_micro')} {Credits(fact) if name.endswith('_micro') else fact}"
        for name, fact in found.facts.items()
    )


def _facts(alert: Alert) -> dict[str, Any]:
    terms = alert.terms
    again = {
        AlertKind.LOW_BALANCE: f"from {Credits(terms.amount_micro + (terms.margin_micro or 0))} on",
        AlertKind.BURN_RATE: f"at {terms.rearm_percent} %",
        AlertKind.SPEND_THRESHOLD: f"each {terms.span}",
    }
    return {
        "alert": plain_id("alr", alert.alert_id),
        "wallet": "every wallet" if alert.wallet_id is None else plain_id("wal", alert.wallet_id),
        "kind": str(terms.kind),
        "credits": str(Credits(terms.amount_micro)),
        "span": None if terms.span is None else str(terms.span),
        "percents": None if terms.percents is None else list(terms.percents),
        "armed_again": again[terms.kind],
        "since": alert.began_at,
    }

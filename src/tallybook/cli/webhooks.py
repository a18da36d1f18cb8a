"""tallybook webhooks: signing secrets while they are rolled, and our endpoints at Stripe."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tallybook.cli.output import AsJson, show_facts, show_rows
from tallybook.cli.roof import EXIT_REFUSED, OPERATOR, errors, run
from tallybook.domain.payments.endpoints import Endpoint, Step
from tallybook.domain.payments.sightings import SecretState, SecretUse
from tallybook.usecases import webhooks
from tallybook.usecases.context import Context
from tallybook.usecases.webhooks import Registered

app = typer.Typer(help="Webhooks: signing secrets, and endpoints at Stripe.", no_args_is_help=True)
_ADVICE = {
    SecretState.IN_USE: "keep it",
    SecretState.NOT_SEEN: "it verified nothing yet: new, or of another endpoint",
    SecretState.SPARE: "drop it: for a day it was not needed",
    SecretState.UNKNOWN: "it is not set any more",
}


@app.command("secrets")
def secrets(context: typer.Context, as_json: AsJson = False) -> None:
    """Which signing secret verified events, by fingerprint, when last, and which can be dropped."""

    async def work(ctx: Context) -> list[SecretUse]:
        return await webhooks.secrets(ctx, OPERATOR)

    rows = [
        {
            "path": use.intake_path,
            "place": use.place,
            "fingerprint": use.fingerprint,
            "state": str(use.state),
            "last_seen_at": use.last_seen_at,
            "last_needed_at": use.last_needed_at,
            "versions": list(use.versions),
            "advice": _ADVICE[use.state],
        }
        for use in run(context, work)
    ]
    show_rows(rows, as_json=as_json, empty="No secret is set: see tallybook doctor.")


@app.command("fingerprint")
def fingerprint(
    context: typer.Context,
    secret: Annotated[str, typer.Option(prompt=True, hide_input=True, help="Asked for; not shown.")],
    as_json: AsJson = False,
) -> None:
    """The fingerprint of a secret that you have, to find it in the list."""

    async def work(ctx: Context) -> str:
        return webhooks.name_of(ctx, OPERATOR, secret)

    show_facts({"fingerprint": run(context, work)}, as_json=as_json)


@app.command("list")
def list_endpoints(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Also those of other programs.")] = False,
    as_json: AsJson = False,
) -> None:
    """Our endpoints at Stripe, and what is wrong with each; status 1 when something is."""

    async def work(ctx: Context) -> list[Endpoint]:
        return await webhooks.endpoints(ctx, OPERATOR)

    found = [one for one in run(context, work) if every or one.ours]
    rows = [_row(endpoint) for endpoint in found]
    show_rows(rows, as_json=as_json, empty="None is ours: tallybook webhooks register --url …")
    if any(endpoint.faults for endpoint in found):
        raise typer.Exit(EXIT_REFUSED)


@app.command("register")
def register(
    context: typer.Context,
    url: Annotated[str, typer.Option(help="Where Stripe reaches one of the three webhook paths.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change at Stripe.")] = False,
    as_json: AsJson = False,
) -> None:
    """Have one endpoint at this URL, of the pinned version, with exactly our types; safe to repeat."""

    async def work(ctx: Context) -> Registered:
        return await webhooks.register(ctx, OPERATOR, url=url, dry_run=dry_run)

    done = run(context, work)
    facts: dict[str, Any] = {
        "step": str(done.plan.step),
        "why": list(done.plan.why),
        "endpoint": done.endpoint_id,
        "url": done.url,
        "api_version": done.api_version,
        "events": list(done.event_types),
        "left_over": list(done.plan.leftovers),
        "dry_run": dry_run,
        "secret": done.secret,
    }
    show_facts(facts, as_json=as_json)
    if dry_run:
        errors.print("Dry run: nothing was changed at Stripe.")
    if done.plan.step is Step.CREATE and not dry_run:
        errors.print(
            "Add the secret to STRIPE_WEBHOOK_SECRET (comma separated) and restart; it is shown this once."
        )
    if done.plan.leftovers:
        errors.print("Disable what is left over once this one has delivered: tallybook webhooks secrets.")


def _row(endpoint: Endpoint) -> dict[str, Any]:
    report = endpoint.report
    return {
        "endpoint": report.id,
        "url": report.url,
        "ours": endpoint.ours,
        "enabled": report.enabled,
        "api_version": report.api_version,
        "events": len(report.event_types),
        "faults": [str(fault) for fault in endpoint.faults],
    }

"""tallybook events: the inbox of Stripe's events; look at it, and have events worked on again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console

from tallybook.cli.output import AsJson, console, show_facts, show_rows
from tallybook.cli.roof import OPERATOR, run
from tallybook.domain.payments.inbox import EventStatus, Selection, StoredEvent
from tallybook.usecases import events
from tallybook.usecases.context import Context

app = typer.Typer(help="Stripe's events: list, show, replay.", no_args_is_help=True)
ByStatus = Annotated[EventStatus | None, typer.Option("--status", help="Only of this status.")]
Since = Annotated[datetime | None, typer.Option("--since", help="Received at or after this time (UTC).")]
Until = Annotated[datetime | None, typer.Option("--until", help="Received before this time (UTC).")]


@app.command("list")
def list_events(
    context: typer.Context,
    status: ByStatus = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    as_json: AsJson = False,
) -> None:
    """The newest events; --status dead shows what needs you."""
    which = Selection(status=status, since=_utc(since), until=_utc(until))

    async def work(ctx: Context) -> list[StoredEvent]:
        return await events.newest(ctx, OPERATOR, which, limit=limit)

    rows = [
        {
            "event": event.event_id,
            "type": event.type,
            "received_at": event.received_at,
            "status": str(event.status),
            "outcome": event.outcome,
            "deliveries": event.deliveries,
            "attempts": event.attempts,
            "last_error": event.last_error,
        }
        for event in run(context, work)
    ]
    show_rows(rows, as_json=as_json, empty="No such events.")


@app.command("show")
def show_event(
    context: typer.Context,
    event_id: Annotated[str, typer.Argument(help="The event's id (evt_...).")],
    as_json: AsJson = False,
) -> None:
    """One event with all we know, and its body as Stripe sent it."""

    async def work(ctx: Context) -> tuple[StoredEvent, bytes]:
        return await events.show(ctx, OPERATOR, event_id)

    event, raw = run(context, work)
    body = json.loads(raw)
    if as_json:
        show_facts({**_facts(event), "body": body}, as_json=True)
        return
    show_facts(_facts(event), as_json=False)
    console.print_json(data=body)


@app.command("replay")
def replay(
    context: typer.Context,
    event_id: Annotated[str | None, typer.Argument(help="One event; else choose below.")] = None,
    status: ByStatus = None,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
) -> None:
    """Have events worked on again: one, or by status and time. Credits are never added twice."""
    which = Selection(event_id=event_id, status=status, since=_utc(since), until=_utc(until))

    async def work(ctx: Context) -> list[str]:
        with Console(stderr=True).status("Replaying"):
            return await events.replay(ctx, OPERATOR, which)

    replayed = run(context, work)
    if as_json:
        show_facts({"replayed": replayed}, as_json=True)
        return
    console.print(f"{len(replayed)} event(s) will be worked on by the running worker.")


def _facts(event: StoredEvent) -> dict[str, Any]:
    return {
        "event": event.event_id,
        "type": event.type,
        "object": event.object_id,
        "customer": event.customer_id,
        "livemode": event.livemode,
        "api_version": event.api_version,
        "created_at_stripe": event.stripe_created,
        "received_at": event.received_at,
        "path": event.intake_path,
        "deliveries": event.deliveries,
        "status": str(event.status),
        "outcome": event.outcome,
        "attempts": event.attempts,
        "next_attempt_at": event.next_attempt_at,
        "settled_at": event.settled_at,
        "last_error": event.last_error,
    }


def _utc(given: datetime | None) -> datetime | None:
    if given is None:
        return None
    return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)

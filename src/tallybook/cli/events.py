"""tallybook events: the inbox of Stripe's events; look at it, have events worked on again, give one up."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from tallybook.cli.output import AsJson, console, show_facts, show_rows, utc
from tallybook.cli.roof import OPERATOR, run
from tallybook.domain.payments.inbox import Act, Effects, EventStatus, Selection, StoredEvent
from tallybook.usecases import events
from tallybook.usecases.context import Context

app = typer.Typer(help="Stripe's events: list, show, replay, give up.", no_args_is_help=True)
ByStatus = Annotated[EventStatus | None, typer.Option("--status", help="Only of this status.")]
ByType = Annotated[str | None, typer.Option("--type", help="Only of this type.")]
ByCustomer = Annotated[str | None, typer.Option("--customer", help="Only of this customer (cus_...).")]
ByObject = Annotated[str | None, typer.Option("--object", help="Only about this object (cs_..., in_...).")]
Since = Annotated[datetime | None, typer.Option("--since", help="Received at or after this time (UTC).")]
Until = Annotated[datetime | None, typer.Option("--until", help="Received before this time (UTC).")]


@app.command("list")
def list_events(
    context: typer.Context,
    status: ByStatus = None,
    type_: ByType = None,
    customer: ByCustomer = None,
    object_: ByObject = None,
    since: Since = None,
    until: Until = None,
    after: Annotated[str | None, typer.Option(help="The last event of the page before.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    as_json: AsJson = False,
) -> None:
    """The newest events; --status dead shows what needs you."""
    which = Selection(
        status=status,
        type=type_,
        customer_id=customer,
        object_id=object_,
        since=utc(since),
        until=utc(until),
    )

    async def work(ctx: Context) -> list[StoredEvent]:
        return await events.page(ctx, OPERATOR, which, after=after, limit=limit)

    rows = [
        {
            "event": event.event_id,
            "type": event.type,
            "object": event.object_id,
            "received_at": event.received_at,
            "status": str(event.status),
            "outcome": event.outcome,
            "deliveries": event.deliveries,
            "attempts": event.attempts,
            "next_try_at": event.next_try,
            "last_error": event.last_error,
        }
        for event in run(context, work)
    ]
    show_rows(rows, as_json=as_json, empty="No such events.")
    if len(rows) == limit and not as_json:
        console.print(f"More: --after {rows[-1]['event']}")


@app.command("show")
def show_event(
    context: typer.Context,
    event_id: Annotated[str, typer.Argument(help="The event's id (evt_...).")],
    as_json: AsJson = False,
) -> None:
    """One event: all we know, what it led to, and its payload without what is secret in it."""

    async def work(ctx: Context) -> tuple[StoredEvent, Any, Effects]:
        return await events.show(ctx, OPERATOR, event_id)

    event, payload, effects = run(context, work)
    led_to = {
        "transfers": list(effects.transfers),
        "transfers_of_object": list(effects.transfers_of_object),
    }
    acts = [_act(act) for act in effects.acts]
    if as_json:
        show_facts({**_facts(event), **led_to, "acts": acts, "body": payload}, as_json=True)
        return
    show_facts({**_facts(event), **led_to}, as_json=False)
    show_rows(acts, as_json=False, title="What was done", empty="Nothing was done because of it.")
    console.print_json(data=payload)


@app.command("replay")
def replay(
    context: typer.Context,
    event_ids: Annotated[list[str] | None, typer.Argument(help="Some events; else choose below.")] = None,
    status: ByStatus = None,
    type_: ByType = None,
    customer: ByCustomer = None,
    object_: ByObject = None,
    since: Since = None,
    until: Until = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many.")] = False,
    as_json: AsJson = False,
) -> None:
    """Have events worked on again: some, or by status, type, customer, object and time.

    Credits are never added twice, so settled ones may be replayed too.
    """
    which = Selection(
        event_ids=tuple(event_ids or ()),
        status=status,
        type=type_,
        customer_id=customer,
        object_id=object_,
        since=utc(since),
        until=utc(until),
    )
    if dry_run:
        _count(context, which, as_json=as_json)
        return
    with Progress(console=Console(stderr=True), transient=True) as bar:

        async def work(ctx: Context) -> list[str]:
            task = bar.add_task("Replaying", total=await events.count_to_replay(ctx, OPERATOR, which))
            return await events.replay(ctx, OPERATOR, which, progress=lambda done: bar.advance(task, done))

        replayed = run(context, work)
    if as_json:
        show_facts({"replayed": replayed}, as_json=True)
        return
    console.print(f"{len(replayed)} event(s) will be worked on by the running worker.")


@app.command("give-up")
def give_up(
    context: typer.Context,
    event_id: Annotated[str, typer.Argument(help="The event's id (evt_...).")],
    reason: Annotated[str, typer.Option("--reason", help="Why, for whoever looks later.")],
    as_json: AsJson = False,
) -> None:
    """Give up an event that waits or is dead: only its own replay wakes it then."""

    async def work(ctx: Context) -> StoredEvent:
        return await events.give_up(ctx, OPERATOR, event_id, reason=reason)

    show_facts(_facts(run(context, work)), as_json=as_json)


def _count(context: typer.Context, which: Selection, *, as_json: bool) -> None:
    async def work(ctx: Context) -> int:
        return await events.count_to_replay(ctx, OPERATOR, which)

    matching = run(context, work)
    if as_json:
        show_facts({"matching": matching, "dry_run": True}, as_json=True)
        return
    console.print(f"Dry run: {matching} event(s) would be worked on again.")


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
        "verified_by": list(event.verified_by),
        "deliveries": event.deliveries,
        "status": str(event.status),
        "outcome": event.outcome,
        "attempts": event.attempts,
        "next_try_at": event.next_try,
        "settled_at": event.settled_at,
        "last_error": event.last_error,
        "replays": event.replays,
    }


def _act(act: Act) -> dict[str, Any]:
    return {
        "at": act.at,
        "actor": act.actor,
        "action": act.action,
        "subject": act.subject,
        "facts": dict(act.after),
        "by_event": act.by_event,
    }

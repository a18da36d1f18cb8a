"""tallybook subscriptions: look at plans that people pay for, fetch them afresh, cancel, pause and resume them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from tallybook.cli.output import AsJson, console, show_facts, show_rows
from tallybook.cli.roof import OPERATOR, run
from tallybook.domain.ids import plain_id
from tallybook.domain.payments.invoices import KnownInvoice
from tallybook.domain.payments.subscriptions import Subscription, SubscriptionStatus
from tallybook.usecases.context import Context
from tallybook.usecases.subscriptions import changing, settling, viewing

app = typer.Typer(help="Subscriptions: list, show, refresh, cancel, pause, resume.", no_args_is_help=True)
Which = Annotated[str, typer.Argument(help="Our id (sbs_…) or Stripe's (sub_…).")]


@app.command("list")
def list_subscriptions(
    context: typer.Context,
    user: Annotated[int | None, typer.Option("--user", help="Only this user's.", min=1)] = None,
    status: Annotated[
        SubscriptionStatus | None, typer.Option("--status", help="Only of this status.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    as_json: AsJson = False,
) -> None:
    """The newest subscriptions."""

    async def work(ctx: Context) -> list[Subscription]:
        if user is None:
            return await viewing.newest(ctx, OPERATOR, status=status, limit=limit)
        found = await viewing.of_user(ctx, OPERATOR, user)
        return [one for one in found if status in (None, one.status)][:limit]

    rows = [_facts(one) for one in run(context, work)]
    show_rows(rows, as_json=as_json, empty="No such subscriptions.")


@app.command("show")
def show(context: typer.Context, subscription: Which, as_json: AsJson = False) -> None:
    """A subscription and its newest invoices with the credits that each moved."""

    async def work(ctx: Context) -> tuple[Subscription, list[KnownInvoice]]:
        return await viewing.one(ctx, OPERATOR, subscription)

    found, invoices = run(context, work)
    rows = [
        {
            "invoice": one.stripe_invoice_id,
            "created_at": one.stripe_created,
            "reason": one.billing_reason,
            "status": one.status,
            "paid_minor": one.amount_paid_minor,
            "outcome": one.outcome,
            "granted": str(one.granted),
            "taken_back": str(one.taken_back),
        }
        for one in invoices
    ]
    if as_json:
        show_facts({**_facts(found), "invoices": rows}, as_json=True)
        return
    show_facts(_facts(found), as_json=False)
    show_rows(rows, as_json=False, empty="No invoices.")


@app.command("refresh")
def refresh(
    context: typer.Context,
    stripe_subscription: Annotated[str, typer.Argument(help="Stripe's id (sub_…).")],
    as_json: AsJson = False,
) -> None:
    """Ask Stripe how a subscription and its newest invoice are, and write that down; nothing acts twice."""

    async def work(ctx: Context) -> settling.Settlement:
        return await settling.refresh(ctx, OPERATOR, stripe_subscription)

    settled = run(context, work)
    facts = {} if settled.subscription is None else _facts(settled.subscription)
    show_facts({"outcome": settled.outcome, **facts}, as_json=as_json)


@app.command("cancel")
def cancel(
    context: typer.Context,
    subscription: Which,
    now: Annotated[bool, typer.Option("--now", help="At once instead of with its period.")] = False,
) -> None:
    """End a subscription with its paid period, or at once; nothing is given back."""
    _change(context, lambda ctx: changing.cancel(ctx, OPERATOR, subscription, at_once=now, key=None))


@app.command("reactivate")
def reactivate(context: typer.Context, subscription: Which) -> None:
    """Take back that a subscription is to end with its period."""
    _change(context, lambda ctx: changing.reactivate(ctx, OPERATOR, subscription, key=None))


@app.command("pause")
def pause(context: typer.Context, subscription: Which) -> None:
    """Bill and grant nothing from the next period on."""
    _change(context, lambda ctx: changing.pause(ctx, OPERATOR, subscription, resumes_at=None, key=None))


@app.command("resume")
def resume(context: typer.Context, subscription: Which) -> None:
    """Bill and grant again."""
    _change(context, lambda ctx: changing.resume(ctx, OPERATOR, subscription, key=None))


def _change(context: typer.Context, ask: Callable[[Context], Awaitable[changing.Changed]]) -> None:
    async def work(ctx: Context) -> changing.Changed:
        return await ask(ctx)

    show_facts(_facts(run(context, work).subscription), as_json=False)
    console.print("Done.")


def _facts(found: Subscription) -> dict[str, Any]:
    plan, quantity, price = found.coming
    return {
        "subscription": plain_id("sbs", found.subscription_id),
        "stripe": found.stripe_subscription_id,
        "user": found.user_id,
        "status": str(found.status),
        "plan": plan,
        "quantity": quantity,
        "price": str(price),
        "pending": found.pending_lookup_key,
        "ends": found.current_period_end,
        "cancels": found.cancel_at_period_end,
        "paused": found.collection_paused,
    }

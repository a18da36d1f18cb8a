"""tallybook top-ups: a customer's rule for auto top-up, set, shown and removed, and what it charged."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tallybook.cli.output import AsJson, console, show_facts, show_rows
from tallybook.cli.roof import OPERATOR, run
from tallybook.domain.ids import plain_id
from tallybook.domain.money import Credits, Money
from tallybook.domain.payments.payment_intents import PaymentIntent
from tallybook.domain.payments.top_ups import TopUpTerms
from tallybook.usecases.cards import rules
from tallybook.usecases.context import Context

app = typer.Typer(help="Auto top-up of a user: show, set, remove, charges.", no_args_is_help=True)
User = Annotated[int, typer.Argument(help="The user's id (tallybook users list).", min=1, max=2**53 - 1)]
NUMBER_MAX = 2**62


@app.command("show")
def show(context: typer.Context, user: User, as_json: AsJson = False) -> None:
    """A user's rule, what it charged this month, and whether it stopped."""

    async def work(ctx: Context) -> rules.Standing:
        return await rules.get(ctx, OPERATOR, user_id=user)

    show_facts(_facts(run(context, work)), as_json=as_json)


@app.command("set")
def set_rule(
    context: typer.Context,
    user: User,
    threshold: Annotated[str, typer.Option(help="Charge below so many available credits, such as 50.")],
    monthly_cap: Annotated[
        int,
        typer.Option(help="The most in a month of UTC, in minor units, such as cents.", min=1, max=10**12),
    ],
    price: Annotated[str | None, typer.Option(help="Buy this pack, such as pack_100.")] = None,
    quantity: Annotated[int, typer.Option(help="The least of the pack at once.", min=1, max=1000)] = 1,
    credits: Annotated[
        str | None, typer.Option(help="Instead of a pack: so many credits at the catalogue's rate.")
    ] = None,
    currency: Annotated[str, typer.Option(help="Of the cap and of what is charged.")] = "usd",
    enabled: Annotated[
        bool, typer.Option("--on/--off", help="Off keeps the rule and charges nothing.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Set a user's rule, or begin it anew after it stopped. It charges the customer's own card: ask them first."""

    async def work(ctx: Context) -> rules.Standing:
        terms = TopUpTerms(
            threshold=Credits.parse(threshold),
            lookup_key=price,
            quantity=quantity,
            credits=None if credits is None else Credits.parse(credits),
            monthly_cap=Money(monthly_cap, currency.lower()),
            enabled=enabled,
        )
        return await rules.put(ctx, OPERATOR, terms, user_id=user)

    show_facts(_facts(run(context, work)), as_json=as_json)


@app.command("remove")
def remove(context: typer.Context, user: User) -> None:
    """Charge nothing by itself any more; what is in flight is settled as it comes."""

    async def work(ctx: Context) -> None:
        await rules.end(ctx, OPERATOR, user_id=user)

    run(context, work)
    console.print(f"Auto top-up of user {user} is removed.")


@app.command("charges")
def list_charges(
    context: typer.Context,
    user: User,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    as_json: AsJson = False,
) -> None:
    """What auto top-up charged, newest first; also what failed, or waits for the customer."""

    async def work(ctx: Context) -> list[PaymentIntent]:
        return await rules.page(ctx, OPERATOR, user_id=user, before=NUMBER_MAX, limit=limit)

    rows = [_charge(one) for one in run(context, work)]
    show_rows(rows, as_json=as_json, empty="It has charged nothing yet.")


def _facts(standing: rules.Standing) -> dict[str, Any]:
    rule, terms = standing.rule, standing.rule.terms
    return {
        "user": rule.user_id,
        "wallet": plain_id("wal", rule.wallet_id),
        "enabled": terms.enabled,
        "stopped": None if rule.stopped is None else str(rule.stopped),
        "threshold": str(terms.threshold),
        "product": terms.lookup_key,
        "quantity": terms.quantity,
        "credits": None if terms.credits is None else str(terms.credits),
        "monthly_cap": str(terms.monthly_cap),
        "charged_this_month": str(standing.charged),
        "declines": rule.declines,
        "not_before": rule.not_before,
        "updated_at": rule.updated_at,
    }


def _charge(one: PaymentIntent) -> dict[str, Any]:
    return {
        "payment_intent": plain_id("pin", one.number),
        "created_at": one.created_at,
        "status": str(one.status),
        "price": str(one.price),
        "credits": str(one.credits),
        "description": one.description,
        "stripe": one.stripe_id,
        "failure_code": one.failure_code,
    }

"""tallybook import-stripe: the customers of an existing Stripe account, with their plans and what they paid."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tallybook.cli.output import AsJson, console, show_facts, show_rows, utc
from tallybook.cli.roof import EXIT_REFUSED, OPERATOR, run
from tallybook.domain.errors import InvalidRequestError
from tallybook.domain.money import Credits
from tallybook.domain.payments.importing import Grants, Imported, Options, parse_balances
from tallybook.usecases.context import Context
from tallybook.worker.importing import import_stripe as imported


def import_stripe(
    context: typer.Context,
    apply: Annotated[bool, typer.Option("--apply/--dry-run", help="Do it; a dry run only looks.")] = False,
    grant: Annotated[
        Grants,
        typer.Option("--grant", help="Credits for past payments (history), or --balances, or none."),
    ] = Grants.NONE,
    since: Annotated[
        datetime | None, typer.Option("--since", help="With history: only payments from then on (UTC).")
    ] = None,
    prices: Annotated[
        list[str] | None,
        typer.Option("--map", help="PRICE=PRODUCT: what a Stripe price stands for (price_…=plan_starter)."),
    ] = None,
    balances: Annotated[
        Path | None, typer.Option("--balances", help="CSV: customer or email, and credits.", exists=True)
    ] = None,
    balance_field: Annotated[
        str | None, typer.Option("--balance-field", help="The customers' metadata field with their balance.")
    ] = None,
    choose: Annotated[
        list[str] | None, typer.Option("--choose", help="A customer who wins a shared e-mail (cus_…).")
    ] = None,
    link_existing: Annotated[
        bool, typer.Option("--link-existing", help="Give customers to users who have their e-mail already.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a Stripe account's customers users. Safe to repeat; ends with status 1 when something needs you."""
    report: list[Imported] = []
    with _bar() as bar:
        task = bar.add_task("Customers", total=None)

        async def work(ctx: Context) -> None:
            options = Options(
                grants=grant,
                since=utc(since),
                prices=dict(_pair(one) for one in prices or ()),
                balances={} if balances is None else parse_balances(balances.read_text(encoding="utf-8")),
                balance_field=balance_field,
                chosen=frozenset(choose or ()),
                links_existing=link_existing,
            )
            async for one, total in imported(ctx, OPERATOR, options, applies=apply):
                report.append(one)
                bar.update(task, advance=1, total=total)

        run(context, work)
    _show(report, apply=apply, as_json=as_json)
    if any(one.conflicts or one.unknown_prices for one in report):
        raise typer.Exit(EXIT_REFUSED)


def _show(report: list[Imported], *, apply: bool, as_json: bool) -> None:
    sums = {
        "dry_run": not apply,
        "customers": len(report),
        **dict(sorted(Counter(one.outcome for one in report).items())),
        "payments": sum(one.payments for one in report),
        "subscriptions": sum(len(one.subscriptions) for one in report),
        "granted": str(Credits(sum(one.granted.micro for one in report))),
        "opening": str(Credits(sum(one.opening.micro for one in report))),
        "unknown_prices": sorted({price for one in report for price in one.unknown_prices}),
    }
    if as_json:
        show_facts(sums | {"report": [_row(one) for one in report]}, as_json=True)
        return
    show_facts(sums, as_json=False)
    wanting = [_row(one) for one in report if one.conflicts or one.unknown_prices]
    show_rows(wanting, as_json=False, title="Needs you", empty="Nothing needs you.")
    if not apply:
        console.print("This was a dry run: --apply does it.")


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _pair(text: str) -> tuple[str, str]:
    price, equals, product = text.partition("=")
    if not (price and equals and product):
        raise InvalidRequestError("--map wants PRICE=PRODUCT, such as price_123=plan_starter.")
    return price.strip(), product.strip()


def _row(one: Imported) -> dict[str, Any]:
    return {
        "customer": one.customer_id,
        "email": one.email,
        "outcome": one.outcome,
        "user": one.user_id,
        "payments": one.payments,
        "granted": str(one.granted),
        "opening": str(one.opening),
        "subscriptions": list(one.subscriptions),
        "unknown_prices": list(one.unknown_prices),
        "conflicts": list(one.conflicts),
    }

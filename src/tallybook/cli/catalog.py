"""tallybook catalog: what is on sale, and carrying it to Stripe."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from tallybook.cli.output import AsJson, console, show_rows
from tallybook.cli.roof import OPERATOR, run
from tallybook.domain.catalog.links import Change
from tallybook.usecases import catalog
from tallybook.usecases.context import Context

app = typer.Typer(help="The catalogue: show it, push it to Stripe.", no_args_is_help=True)


@app.command("show")
def show(context: typer.Context, as_json: AsJson = False) -> None:
    """Every product on sale, with its Stripe price once it was pushed."""
    rows = [_row(offer) for offer in run(context, catalog.offers)]
    show_rows(rows, as_json=as_json, empty="Nothing is on sale: see [families] in catalog.toml.")


@app.command("push")
def push(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change at Stripe.")] = False,
    as_json: AsJson = False,
) -> None:
    """Create or update Stripe's products and prices; nothing is ever made twice."""
    with Progress(console=Console(stderr=True), transient=True) as bar:

        async def work(ctx: Context) -> list[Change]:
            task = bar.add_task("Catalogue to Stripe", total=len(ctx.catalog.on_sale))
            return await catalog.push(ctx, OPERATOR, dry_run=dry_run, progress=lambda _: bar.advance(task))

        changes = run(context, work)
    rows = [
        {
            "product": change.lookup_key,
            "action": change.action,
            "detail": change.detail,
            "stripe_price": change.price_id,
        }
        for change in changes
    ]
    show_rows(rows, as_json=as_json, empty="Nothing is on sale: see [families] in catalog.toml.")
    if dry_run and not as_json:
        console.print("Dry run: nothing was changed at Stripe.")


def _row(offer: catalog.Offer) -> dict[str, Any]:
    product = offer.product
    return {
        "product": product.lookup_key,
        "id": product.id,
        "name": product.name,
        "credits": str(product.credits),
        "price": str(offer.price),
        "every": product.interval,
        "stripe_price": offer.price_id,
        "aliases": list(product.aliases),
    }

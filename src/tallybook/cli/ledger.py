"""tallybook ledger: verify the books."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from tallybook.cli.output import AsJson, console, show_rows
from tallybook.cli.roof import EXIT_REFUSED, run
from tallybook.usecases import wallets

app = typer.Typer(help="The ledger: verify that the books tie.", no_args_is_help=True)


@app.command("verify")
def verify(
    context: typer.Context,
    as_json: AsJson = False,
    most: Annotated[int, typer.Option(help="Faults to show at the most.", min=1)] = 20,
) -> None:
    """Check every promise of the ledger; name the first row that does not fit. Status 1 when one is broken."""
    with console.status("Checking every transfer, hold, lot and wallet …"):
        totals, faults = run(context, wallets.verify)
    if as_json:
        typer.echo(json.dumps({"checked": totals, "faults": [asdict(f) for f in faults]}, indent=2))
    elif faults:
        console.print(f"[red]The books do not tie: {len(faults)} broken promises.[/red]")
        show_rows([asdict(fault) for fault in faults[:most]], as_json=False)
        first = faults[0]
        console.print(f"First: wallet {first.wallet_id}, transfer {first.version}: {first.detail}.")
    else:
        checked = ", ".join(f"{count} {noun}" for noun, count in totals.items())
        console.print(f"[green]The books tie.[/green] Checked {checked}.")
    if faults:
        raise typer.Exit(EXIT_REFUSED)

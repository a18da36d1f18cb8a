"""tallybook ledger: verify the books, and anchor them outside the database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from tallybook.cli.output import AsJson, console, show_facts, show_rows
from tallybook.cli.roof import EXIT_REFUSED, run
from tallybook.domain.errors import AnchorFailedError
from tallybook.domain.ledger.requests import Fault
from tallybook.usecases import anchor_checks, anchors, books
from tallybook.usecases.anchor_checks import Comparison
from tallybook.usecases.anchors import Exported
from tallybook.usecases.books import Recomputed
from tallybook.usecases.context import Context

app = typer.Typer(help="The ledger: verify that the books tie, anchor them elsewhere.", no_args_is_help=True)
FILE_SUFFIX = ".jsonl.gz"
CHECKING = "Checking every transfer, hold, lot and wallet"
RECOMPUTING = "Computing the chain in Python"


@app.command("anchor")
def anchor(
    context: typer.Context,
    to: Annotated[
        Path | None,
        typer.Option(
            help=f"A folder, whose chain goes on; or a new file *{FILE_SUFFIX} (default: ANCHORS_DIR)."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Export what the ledger's chains say now, and print its digest: keep both where nobody can rewrite them."""
    with _bars() as show:

        async def work(ctx: Context) -> Exported:
            place = to or ctx.anchors_dir
            if place is None:
                raise AnchorFailedError("Say where: --to FOLDER, or set ANCHORS_DIR.")
            export = anchors.export_alone if place.name.endswith(FILE_SUFFIX) else anchors.export
            return await export(ctx, place, progress=lambda done, of: show("Exporting wallets", done, of))

        exported = run(context, work)
    if as_json:
        show_facts(asdict(exported), as_json=True)
        return
    since = f"since anchor {exported.number - 1}" if exported.before else "in all"
    console.print(f"Anchor {exported.number}: {exported.path}", soft_wrap=True)
    console.print(f"{exported.transfers} transfers and {exported.refusals} refusals {since}.")
    console.print(f"Digest, to be kept where nobody can rewrite it: {exported.digest}", soft_wrap=True)


@app.command("verify")
def verify(
    context: typer.Context,
    as_json: AsJson = False,
    most: Annotated[int, typer.Option(help="Faults to show at the most.", min=1)] = 20,
    anchored: Annotated[
        Path | None,
        typer.Option(
            "--anchors", help="Compare with these anchors, a folder or a file (default: ANCHORS_DIR)."
        ),
    ] = None,
    digest: Annotated[
        str | None, typer.Option(help="The digest of an anchor as you kept it: one of them must have it.")
    ] = None,
    independently: Annotated[
        bool,
        typer.Option(
            "--independently", help="Compute the hash chain once more, without the database's functions."
        ),
    ] = False,
) -> None:
    """Check every promise of the ledger, and that it still says what its anchors say. Status 1 when one is broken.

    Names the first row that does not fit.
    """
    with _bars() as show:

        async def work(ctx: Context) -> _Found:
            totals, faults = await books.verify(ctx, progress=lambda done, of: show(CHECKING, done, of))
            show(CHECKING, totals["transfers"], totals["transfers"])
            again = None
            if independently:
                again = await books.recompute(ctx, progress=lambda done: show(RECOMPUTING, done, None))
            place = anchored or (ctx.anchors_dir if ctx.anchors_dir and ctx.anchors_dir.is_dir() else None)
            if place is None and digest is not None:
                raise AnchorFailedError("Say where the anchors are: --anchors FOLDER, or set ANCHORS_DIR.")
            if place is None:
                return _Found(totals, faults, again, None)
            compared = await anchor_checks.compare(ctx, place, expected_digest=digest, progress=show)
            return _Found(totals, faults, again, compared)

        found = run(context, work)
    faults = found.all_faults()
    if as_json:
        typer.echo(_document(found, faults))
    else:
        _say(found.totals, faults[:most], len(faults))
        _say_recomputed(found.recomputed)
        _say_anchors(found.compared)
    if faults:
        raise typer.Exit(EXIT_REFUSED)


@dataclass(frozen=True, slots=True)
class _Found:
    totals: dict[str, int]
    faults: Sequence[Fault]
    recomputed: Recomputed | None
    compared: Comparison | None

    def all_faults(self) -> list[Fault]:
        again = self.recomputed.faults if self.recomputed else ()
        return [*self.faults, *again, *(self.compared.faults if self.compared else ())]


def _say(totals: dict[str, int], shown: Sequence[Fault], count: int) -> None:
    if not shown:
        checked = ", ".join(f"{number} {noun}" for noun, number in totals.items())
        console.print(f"[green]The books tie.[/green] Checked {checked}.")
        return
    console.print(f"[red]The books do not tie: {count} broken promises.[/red]")
    show_rows([asdict(fault) for fault in shown], as_json=False)
    first = shown[0]
    where = f"wallet {first.wallet_id}, transfer {first.version}: " if first.wallet_id else ""
    console.print(f"First: {where}{first.detail}.", soft_wrap=True)


def _say_recomputed(recomputed: Recomputed | None) -> None:
    if recomputed is not None:
        console.print(f"Computed {recomputed.transfers} digests of the chain once more, in Python.")


def _say_anchors(compared: Comparison | None) -> None:
    if compared is None:
        console.print("Not compared with anchors: there are none (docs/anchors.md).")
        return
    if compared.newest is None:
        console.print(
            f"[yellow]No anchors in {compared.folder} that can be compared with.[/yellow]", soft_wrap=True
        )
        return
    console.print(
        f"Compared with {compared.anchors} anchors ({compared.transfers} transfers, {compared.refusals} refusals), the"
        f" newest {compared.newest.called}, digest {compared.digest}. Not covered: {compared.transfers_since} transfers"
        " since then.",
        soft_wrap=True,
    )


def _document(found: _Found, faults: Sequence[Fault]) -> str:
    compared = found.compared
    facts: dict[str, Any] = {
        "checked": found.totals,
        "faults": [asdict(fault) for fault in faults],
        "recomputed": found.recomputed.transfers if found.recomputed else None,
        "anchors": None,
    }
    if compared is not None:
        facts["anchors"] = {name: value for name, value in asdict(compared).items() if name != "faults"}
    return json.dumps(facts, indent=2, default=lambda v: v.isoformat() if isinstance(v, datetime) else str(v))


@contextmanager
def _bars() -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar for each kind of long work, on the error stream."""
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bars = {}

        def show(what: str, done: int, of: int | None) -> None:
            if what not in bars:
                bars[what] = progress.add_task(what, total=of)
            progress.update(bars[what], completed=done, total=of)

        yield show

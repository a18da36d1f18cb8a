"""tallybook doctor: every setting, key, secret and version, and what to do about each."""

from __future__ import annotations

from dataclasses import asdict

import typer

from tallybook.cli.output import AsJson, console, show_rows
from tallybook.cli.roof import EXIT_REFUSED, run
from tallybook.usecases import doctor as usecase
from tallybook.usecases.doctor import Verdict

_MARKS = {
    Verdict.FINE: "[green]✓[/green]",
    Verdict.NOTE: "[yellow]•[/yellow]",
    Verdict.WRONG: "[red]✗[/red]",
}


def doctor(context: typer.Context, as_json: AsJson = False) -> None:
    """Check the installation; status 1 when something is wrong."""
    findings = run(context, usecase.examine)
    if as_json:
        show_rows([asdict(finding) for finding in findings], as_json=True)
    else:
        for finding in findings:
            console.print(f"{_MARKS[finding.verdict]} {finding.check:<26} {finding.found}", soft_wrap=True)
            if finding.what_to_do:
                console.print(f"    → {finding.what_to_do}", soft_wrap=True)
    if any(finding.verdict is Verdict.WRONG for finding in findings):
        raise typer.Exit(EXIT_REFUSED)

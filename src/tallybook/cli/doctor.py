"""tallybook doctor: every setting, key, secret and version, and what to do about each."""

from __future__ import annotations

from dataclasses import asdict

import typer
from rich.markup import escape

from tallybook.cli.output import AsJson, console, show_rows
from tallybook.cli.roof import EXIT_REFUSED, roof_of, run
from tallybook.domain.diagnosis.findings import Finding, Verdict, wrong
from tallybook.domain.errors import SettingsError
from tallybook.usecases import doctor as usecase

_MARKS = {
    Verdict.FINE: "[green]✓[/green]",
    Verdict.NOTE: "[yellow]•[/yellow]",
    Verdict.WRONG: "[red]✗[/red]",
}


def doctor(context: typer.Context, as_json: AsJson = False) -> None:
    """Check the installation; status 1 when something is wrong."""
    findings = _settings(context) or run(context, usecase.examine)
    if as_json:
        show_rows([asdict(finding) for finding in findings], as_json=True)
    else:
        for finding in findings:
            code = f" [dim]({finding.code})[/dim]" if finding.code else ""
            console.print(
                f"{_MARKS[finding.verdict]} {finding.check:<26} {escape(finding.found)}{code}", soft_wrap=True
            )
            if finding.what_to_do:
                console.print(f"    → {escape(finding.what_to_do)}", soft_wrap=True)
    if any(finding.verdict is Verdict.WRONG for finding in findings):
        raise typer.Exit(EXIT_REFUSED)


def _settings(context: typer.Context) -> list[Finding]:
    """What keeps the settings from being read: until that is mended, nothing else can be looked at."""
    try:
        roof_of(context).load_settings()
    except SettingsError as refusal:
        return [wrong(code, setting, said, _mended(setting)) for setting, code, said in refusal.faults]
    return []


def _mended(setting: str) -> str:
    return f"Correct {setting} where the service's settings are, and start again."

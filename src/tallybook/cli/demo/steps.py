"""How the demo prints a step and its result."""

from __future__ import annotations

from tallybook.cli.output import console


def done(what: str, result: str) -> None:
    """A step that worked."""
    console.print(f"[green]✓[/green] {what:<38} {result}", soft_wrap=True)


def failed(what: str, why: str) -> None:
    """A step that did not."""
    console.print(f"[red]✗[/red] {what:<38} {why}", soft_wrap=True)

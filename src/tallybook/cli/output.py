"""Drawing answers: a table for people, one JSON document for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")]
console = Console(highlight=False)


def show_rows(
    rows: Sequence[Mapping[str, Any]], *, as_json: bool, title: str = "", empty: str = "Nothing yet."
) -> None:
    """A table with the keys of the first row as columns; ``empty`` says what to do when there is none."""
    if as_json:
        typer.echo(json.dumps(list(rows), default=_text, indent=2))
        return
    if not rows:
        console.print(empty)
        return
    table = Table(title=title or None, title_justify="left")
    for name in rows[0]:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    console.print(table)


def show_facts(facts: Mapping[str, Any], *, as_json: bool) -> None:
    """One thing: its facts below each other."""
    if as_json:
        typer.echo(json.dumps(dict(facts), default=_text, indent=2))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), _cell(value))
    console.print(table)


def utc(given: datetime | None) -> datetime | None:
    """A time that was typed: UTC, unless it says otherwise."""
    if given is None:
        return None
    return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(str(item) for item in value)
    return str(value)


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)

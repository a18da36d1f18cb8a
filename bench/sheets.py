"""A table of figures, for the terminal and for a document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.slices import Figures

RATES = ("a second", "slices", "p50 ms", "p99 ms")
"""The columns that ``cells`` fills."""

_WIDTH = 160


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a table says. The first column names its row, the others are figures; ``notes`` stand below."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


def cells(seen: Figures) -> list[str]:
    """The median slice, the spread of slices, and latencies."""
    return [
        f"{seen.rate:,.0f}",
        f"{seen.slowest:,.0f}…{seen.fastest:,.0f}",
        f"{seen.p50_ms:.1f}",
        f"{seen.p99_ms:.1f}",
    ]


def console() -> Console:
    """Where tables go: wide enough for them where there is no terminal."""
    found = Console()
    return found if found.is_terminal else Console(width=_WIDTH)


def draw(sheets: Iterable[Sheet], console: Console) -> None:
    """Print tables."""
    for sheet in sheets:
        table = Table(
            title=sheet.title,
            title_justify="left",
            caption="\n".join(escape(note) for note in sheet.notes) or None,
            caption_justify="left",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
        )
        for place, name in enumerate(sheet.columns):
            table.add_column(name, justify="right" if place and name else "left", no_wrap=place == 0)
        for row in sheet.rows:
            table.add_row(*(escape(cell) for cell in row))
        console.print(table)


def markdown(sheets: Iterable[Sheet]) -> str:
    """The same for a document."""
    return "\n\n".join(_markdown(sheet) for sheet in sheets) + "\n"


def _markdown(sheet: Sheet) -> str:
    lines = [f"**{sheet.title}**", ""]
    lines.append("| " + " | ".join(sheet.columns) + " |")
    lines.append("|---|" + "--:|" * (len(sheet.columns) - 1))
    lines += ["| " + " | ".join(row) + " |" for row in sheet.rows]
    if sheet.notes:
        lines += ["", *(f"- {note}" for note in sheet.notes)]
    return "\n".join(lines)


def put_into(path: Path, name: str, text: str) -> None:
    """Put figures into a document, between the two comments that bear their name.

    Raises:
        ValueError: the document has no such place.
    """
    begin, end = f"<!-- figures of {name}: begin -->", f"<!-- figures of {name}: end -->"
    whole = path.read_text(encoding="utf-8")
    before, found_begin, rest = whole.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found_begin and found_end):
        raise ValueError(f"{path} has no place for the figures: {begin} … {end}")
    path.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}", encoding="utf-8")

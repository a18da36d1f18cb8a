"""Loads the named statements of ``sql/*.sql`` and refuses one without a sentence that says what it is for.

The form: ``-- name: find_user``, then ``-- <one sentence>``, then the SQL with ``:named`` parameters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_HEADER = re.compile(r"^-- name: ([a-z][a-z0-9_]*)$", re.MULTILINE)
_PARAMETER = re.compile(r"(?<![:\w]):([a-z][a-z0-9_]*)")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: its text with ``$1…`` and the parameter names in that order."""

    name: str
    text: str
    parameters: tuple[str, ...]


def parse(source: str) -> dict[str, Statement]:
    """The statements in the text of a ``.sql`` file, by name."""
    parts = _HEADER.split(source)
    found: dict[str, Statement] = {}
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        sentence, _, sql = body.strip().partition("\n")
        assert sentence.startswith("-- "), f"statement {name} lacks a sentence"
        assert name not in found, f"two statements named {name}"
        order: dict[str, int] = {}
        text = _PARAMETER.sub(lambda m: f"${order.setdefault(m[1], len(order) + 1)}", sql)  # noqa: B023
        found[name] = Statement(name, text.strip().rstrip(";"), tuple(order))
    return found


class Statements:
    """The statements of one file as attributes: ``Statements("identity").find_user``."""

    def __init__(self, noun: str) -> None:
        """Read ``sql/<noun>.sql`` beside this module."""
        path = Path(__file__).with_name("sql") / f"{noun}.sql"
        self._statements = parse(path.read_text(encoding="utf-8"))

    def __getattr__(self, name: str) -> Statement:
        """The statement of that name; a missing one is a bug and fails loudly."""
        try:
            return self._statements[name]
        except KeyError:
            raise AttributeError(name) from None

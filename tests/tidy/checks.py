"""The rules that no linter knows, each as a function from source to faults; empty means tidy.

They are values so that ``test_checks_can_fail.py`` can show each of them a planted fault.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from tidy.tree import functions

FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 300
ENDPOINT_LINES_MAX = 25
# Names that say nothing about what is inside.
EMPTY_NAMES = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "manager",
    "managers",
    "service",
    "services",
    "misc",
}
# Words of the old documents; ours are spend, hold and lot (docs/glossary.md).
FOREIGN_WORDS = {
    "deduct",
    "deducts",
    "deducted",
    "deduction",
    "consume",
    "consumes",
    "consumed",
    "reserve",
    "reserved",
}
# Document 000 names these; they are on the wire and in the SDK's seed surface.
SEED_NAMES = {"CONSUME_CREDITS", "consume_credits"}

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_SQL = re.compile(
    r"^\s*(?:SELECT\s|INSERT\s+INTO\s|UPDATE\s+\S+\s+SET\s|DELETE\s+FROM\s|WITH\s+\w+\s+AS\s*\(|MERGE\s+INTO\s"
    r"|(?:CREATE|ALTER|DROP)\s+(?:TABLE|VIEW|FUNCTION|ROLE|INDEX|SCHEMA|TYPE|DATABASE)\s|(?:GRANT|REVOKE)\s\S+\sON\s"
    r"|TRUNCATE\s|LOCK\s+TABLE\s|CALL\s+\w)"
)


def long_functions(tree: ast.Module) -> dict[str, int]:
    """Functions above the limit, by name, with their length in lines (decorators aside)."""
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions(tree)}
    return {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES_MAX}


def long_endpoints(tree: ast.Module) -> dict[str, int]:
    """Functions that answer a route and are longer than a translation needs."""
    found = {}
    for node in functions(tree):
        lines = (node.end_lineno or 0) - node.lineno + 1
        if lines > ENDPOINT_LINES_MAX and any(_is_route(mark) for mark in node.decorator_list):
            found[node.name] = lines
    return found


def _is_route(mark: ast.expr) -> bool:
    return (
        isinstance(mark, ast.Call)
        and isinstance(mark.func, ast.Attribute)
        and mark.func.attr in {"get", "post", "put", "patch", "delete", "api_route"}
        and isinstance(mark.func.value, ast.Name)
        and mark.func.value.id.endswith("router")
    )


def empty_name(path: str) -> bool:
    """Whether a module or one of its folders has a name that says nothing."""
    return not EMPTY_NAMES.isdisjoint(path.removesuffix(".py").split("/"))


def foreign_words(tree: ast.Module) -> set[str]:
    """Identifiers that this code defines with a word of the old documents in them."""
    defined: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                defined.add(name)
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                defined.add(name)
            case ast.arg(arg=name):
                defined.add(name)
    return {
        name
        for name in defined - SEED_NAMES
        if not FOREIGN_WORDS.isdisjoint(word.lower() for word in _WORDS.findall(name))
    }


def sql_texts(tree: ast.Module) -> list[str]:
    """String constants that are SQL statements; docstrings aside."""
    sentences = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value.strip()[:60]
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in sentences
        and _SQL.match(node.value)
    ]


def matches(pattern: str, text: str) -> list[str]:
    """Each line of a text in which a pattern occurs, with its number."""
    compiled = re.compile(pattern)
    return [
        f"{number}: {line.strip()[:80]}"
        for number, line in enumerate(text.splitlines(), 1)
        if compiled.search(line)
    ]


def table_rows(markdown: str) -> list[list[str]]:
    """The cells of every table row of a Markdown text, code marks removed; heads and rules aside."""
    return [
        [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
        for line in markdown.splitlines()
        if line.startswith("|") and not set(line) <= set("|-: ")
    ]


def shrinking(found: dict[str, int], allowed: dict[str, int]) -> list[str]:
    """Faults of a list of exceptions that can only shrink: new ones, grown ones, and those that are none any more."""
    return [
        *(f"{name}: {size} is above the limit" for name, size in found.items() if name not in allowed),
        *(
            f"{name}: grew from {allowed[name]} to {size}"
            for name, size in found.items()
            if size > allowed.get(name, size)
        ),
        *(f"{name}: fits now, take it off the list" for name in allowed if name not in found),
    ]


def joined(faults: Iterable[str]) -> str:
    """Faults as one message."""
    return "\n" + "\n".join(faults)

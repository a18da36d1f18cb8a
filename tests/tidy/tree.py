"""The files that the tidy tests look at: the tree as a fresh clone has it, without what is built or downloaded."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("src", "tests", "bench", "examples", "tools")
# Quoted examples of the source documents stand as they were written; nobody here answers for their style.
QUOTED = "tests/seeds/quoted/"
_BUILT = {"node_modules", "dist", "build", "__pycache__"}
_TEXT = {
    "", ".cfg", ".css", ".html", ".ini", ".js", ".json", ".lock", ".mako", ".md", ".mjs", ".py", ".sh", ".sql",
    ".toml", ".ts", ".tsx", ".txt", ".yaml", ".yml",
}  # fmt: skip


@cache
def files() -> tuple[str, ...]:
    """Every text file of the tree, as a path from its root."""
    found: list[str] = []
    for folder, folders, names in os.walk(ROOT):
        # Hidden folders hold environments and caches; .ci is the only one that is ours.
        folders[:] = sorted(
            name
            for name in folders
            if name not in _BUILT
            and not name.endswith(".egg-info")
            and (not name.startswith(".") or name == ".ci")
        )
        place = Path(folder).relative_to(ROOT)
        found += [(place / name).as_posix() for name in sorted(names) if Path(name).suffix in _TEXT]
    return tuple(name for name in found if name != ".env")


def text(path: str) -> str:
    """The contents of a file."""
    return (ROOT / path).read_text(encoding="utf-8")


@cache
def python_files(*below: str) -> tuple[str, ...]:
    """Our Python files below the folders named (all sources by default), quoted ones aside."""
    places = below or SOURCES
    return tuple(
        path
        for path in files()
        if path.endswith(".py")
        and path.startswith(tuple(f"{place}/" for place in places))
        and not path.startswith(QUOTED)
    )


@cache
def parsed(path: str) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(text(path), filename=path)


Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function and method, also nested ones."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node

"""SQL: it is in files of its own, every file is loaded, and the revisions form one line."""

from __future__ import annotations

import ast
import re

from tidy import checks, tree

POSTGRES = "src/tallybook/postgres"
# These build or reach a database that has no schema yet: names of roles and databases, not statements of the service.
SQL_IN_PYTHON = (
    f"{POSTGRES}/provisioning.py",
    f"{POSTGRES}/migrations/env.py",
    f"{POSTGRES}/embedded/",
)


def _revisions() -> dict[str, ast.Module]:
    return {path: tree.parsed(path) for path in tree.python_files(f"{POSTGRES}/migrations/versions")}


def _loaded() -> list[str]:
    return [
        node.args[0].value
        for module in _revisions().values()
        for node in ast.walk(module)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "run_sql"
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    ]


def _assigned(module: ast.Module, name: str) -> object:
    for node in module.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=found)], value=ast.Constant(value=value)):
                if found == name:
                    return value
            case ast.AnnAssign(target=ast.Name(id=found), value=ast.Constant(value=value)) if found == name:
                return value
    return None


def test_sql_of_the_service_is_in_sql_files() -> None:
    ours = [path for path in tree.python_files("src/tallybook") if not path.startswith(SQL_IN_PYTHON)]

    faults = [f"{path}: {sql}" for path in ours for sql in checks.sql_texts(tree.parsed(path))]
    assert not faults, checks.joined(faults)


def test_every_statement_has_a_name_and_a_sentence() -> None:
    faults = []
    for path in tree.files():
        if path.startswith(f"{POSTGRES}/sql/"):
            parts = re.split(r"^-- name: [a-z][a-z0-9_]*$", tree.text(path), flags=re.MULTILINE)
            faults += [f"{path}: text before the first name" for _ in [0] if parts[0].strip()]
            faults += [f"{path}: {part.strip()[:40]!r}" for part in parts[1:] if not part.startswith("\n-- ")]

    assert not faults, checks.joined(faults)


def test_revisions_load_files_that_exist_and_all_of_them() -> None:
    loaded = _loaded()
    there = {
        path.removeprefix(f"{POSTGRES}/")
        for path in tree.files()
        if path.startswith((f"{POSTGRES}/functions/", f"{POSTGRES}/migrations/versions/"))
        and path.endswith(".sql")
    }

    assert sorted(loaded) == sorted(set(loaded)), "a file is loaded twice"
    assert set(loaded) == there


def test_revisions_follow_each_other_in_one_line() -> None:
    known = {
        _assigned(module, "revision"): _assigned(module, "down_revision") for module in _revisions().values()
    }

    order: list[object] = []
    at: object = None
    before = {down: revision for revision, down in known.items()}
    while at in before:
        at = before[at]
        order.append(at)
    assert len(order) == len(known) == len(_revisions()), known

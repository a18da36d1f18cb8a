"""Documents: what they say exists is there, and what exists is said."""

from __future__ import annotations

import re
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import AliasChoices
from tidy import checks, tree

from tallybook.api import server
from tallybook.settings import Settings
from tallybook.usecases.context import Context

_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_NAMED_FILE = re.compile(r"`((?:src|tests|docs|bench|examples|tools)/[\w./-]+\.\w+)`")
_NAMED_TEST = re.compile(r"`(test_\w+)`")


def _documents() -> list[str]:
    return [path for path in tree.files() if path.endswith(".md") and not path.startswith(tree.QUOTED)]


def _names_of_settings() -> set[str]:
    names: set[str] = set()
    for field, about in Settings.model_fields.items():
        alias = about.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [field.upper()]
        names |= {str(choice) for choice in choices}
    return names


def test_every_setting_is_documented_and_every_documented_one_exists() -> None:
    rows = checks.table_rows(tree.text("docs/configuration.md"))
    documented = {name for row in rows for name in re.findall(r"\b[A-Z][A-Z0-9_]{3,}\b", row[0])}

    assert documented == _names_of_settings()


def test_links_between_documents_lead_somewhere() -> None:
    faults = []
    for path in _documents():
        for target in _LINK.findall(tree.text(path)):
            if not target.startswith(("http:", "https:", "mailto:")):
                place = (tree.ROOT / path).parent / target
                faults += [f"{path}: {target}"] if not place.exists() else []

    assert not faults, checks.joined(faults)


def test_files_that_documents_name_exist() -> None:
    faults = [
        f"{path}: {named}"
        for path in _documents()
        for named in _NAMED_FILE.findall(tree.text(path))
        if not (tree.ROOT / named).exists()
    ]

    assert not faults, checks.joined(faults)


def test_tests_that_documents_name_exist() -> None:
    known = {
        node.name for path in tree.python_files("tests") for node in tree.functions(tree.parsed(path))
    } | {path.rpartition("/")[2].removesuffix(".py") for path in tree.python_files("tests")}

    faults = [
        f"{path}: {named}"
        for path in _documents()
        for named in _NAMED_TEST.findall(tree.text(path))
        if named not in known
    ]
    assert not faults, checks.joined(faults)


def test_every_decision_is_in_the_index() -> None:
    records = {
        path for path in tree.files() if path.startswith("docs/decisions/") and not path.endswith("index.md")
    }
    listed = {f"docs/decisions/{target}" for target in _LINK.findall(tree.text("docs/decisions/index.md"))}

    assert records == {target for target in listed if target.endswith(".md")}
    assert records


class _Unopened(AbstractAsyncContextManager[Context]):
    """Opening the context is what a running service does; the routes are known before."""

    async def __aenter__(self) -> Context:
        raise AssertionError("the documents are read without a context")

    async def __aexit__(self, *_: object) -> None:
        return None


def _api() -> FastAPI:
    return server.create(_Unopened, allowed_origins=(), version="0")


def _operations(document: dict[str, Any]) -> set[str]:
    return {f"{verb.upper()} {path}" for path, verbs in document["paths"].items() for verb in verbs}


def _routes() -> set[str]:
    return _operations(get_openapi(title="all", version="0", routes=_api().routes))


def _families() -> list[list[str]]:
    rows = checks.table_rows(tree.text("docs/families.md"))
    return [row for row in rows if row[0] != "route"]


def test_every_seed_route_is_in_the_table_of_families_and_exists() -> None:
    seeds = {route for route in _routes() if route.partition(" ")[2].startswith("/api/")}

    assert {row[0] for row in _families()} == seeds


def test_use_cases_and_routes_that_the_table_of_families_names_exist() -> None:
    verbs = {
        f"{path.rpartition('/')[2].removesuffix('.py')}.{node.name}"
        for path in tree.python_files("src/tallybook/usecases")
        for node in tree.functions(tree.parsed(path))
    }

    named = {verb.strip("` ") for row in _families() for verb in row[2].split(",")}
    twins = {row[3] for row in _families() if row[3]}
    assert named <= verbs, named - verbs
    assert twins <= _routes(), twins - _routes()


@pytest.mark.parametrize("prefix", ["/v1", "/api"])
async def test_the_openapi_documents_hold_every_route_below_their_prefix(prefix: str) -> None:
    transport = httpx.ASGITransport(app=_api())
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        answer = await client.get(f"{prefix}/openapi.json")

    expected = {route for route in _routes() if route.partition(" ")[2].startswith(f"{prefix}/")}
    assert _operations(answer.json()) == expected

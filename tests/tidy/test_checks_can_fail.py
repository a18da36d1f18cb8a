"""The tidy checks find what they are for: each is shown a planted fault, and something that is fine."""

from __future__ import annotations

import ast

import pytest
from tidy import checks
from tidy.test_hygiene import (
    INDEX_HOSTS,
    MACHINE_PATHS,
    PATCHING,
    SECRETS,
    SKIPPING,
    UNCHECKED,
    UNDONE,
)


def _long(head: str, lines: int) -> ast.Module:
    return ast.parse(f"{head}\n" + "    x = 1\n" * (lines - 1))


def test_a_function_of_61_lines_is_found() -> None:
    assert checks.long_functions(_long("def f():", 61)) == {"f": 61}
    assert checks.long_functions(_long("async def f():", 60)) == {}


def test_an_endpoint_of_26_lines_is_found() -> None:
    assert checks.long_endpoints(_long("@router.post('/x')\nasync def f():", 26)) == {"f": 26}
    assert checks.long_endpoints(_long("@router.post('/x')\nasync def f():", 25)) == {}
    assert checks.long_endpoints(_long("async def f():", 26)) == {}


def test_empty_names_and_foreign_words_are_found() -> None:
    assert checks.empty_name("src/tallybook/helpers/amounts.py")
    assert checks.empty_name("src/tallybook/domain/utils.py")
    assert not checks.empty_name("src/tallybook/domain/serviceable.py")
    source = "def deduct_credits(reserved_micro): consumeAll = 1\nclass ConsumeCredits: CONSUME_CREDITS = 1"
    assert checks.foreign_words(ast.parse(source)) == {
        "deduct_credits",
        "reserved_micro",
        "consumeAll",
        "ConsumeCredits",
    }


def test_sql_in_python_is_found_and_prose_is_not() -> None:
    source = (
        '"""SELECT nothing: a docstring."""\nsql = f"SELECT * FROM users WHERE id = {x}"\nword = "Select one"'
    )

    assert checks.sql_texts(ast.parse(source)) == ["SELECT * FROM users WHERE id ="]


def test_a_list_of_exceptions_can_only_shrink() -> None:
    assert checks.shrinking({"a": 70}, {"a": 70}) == []
    assert checks.shrinking({"a": 71}, {"a": 70}) == ["a: grew from 70 to 71"]
    assert checks.shrinking({"b": 61}, {}) == ["b: 61 is above the limit"]
    assert checks.shrinking({}, {"a": 70}) == ["a: fits now, take it off the list"]


def test_rows_of_a_table_are_read() -> None:
    assert checks.table_rows("| a | b |\n|---|---|\n| `x` | 1 |\n\ntext") == [["a", "b"], ["x", "1"]]


@pytest.mark.parametrize(
    ("pattern", "planted", "fine"),
    [
        (SECRETS, "sk_" + "live_51Habcdefgh", "sk_live_ and sk_test_abcdefghijk"),
        (SECRETS, "whsec_" + "a1" * 12, "whsec_short"),
        (SECRETS, "-----BEGIN EC " + "PRIVATE KEY-----", "-----BEGIN PUBLIC KEY-----"),
        (MACHINE_PATHS, "see /wo" + "rk/main/x", "https://example.com/work/x and /v1/users/"),
        (UNDONE, "# TO" + "DO: later", "todos"),
        (UNCHECKED, "python" + " -O -m x", "python -m x -O"),
        (PATCHING, "from unittest" + ".mock import patch", "mocking nobody"),
        (SKIPPING, "@pytest.mark." + "skip", "skip this sentence"),
        (INDEX_HOSTS, "--index-" + "url x", "name==1 --hash=sha256:0"),
    ],
)
def test_forbidden_text_is_found(pattern: str, planted: str, fine: str) -> None:
    assert checks.matches(pattern, planted)
    assert not checks.matches(pattern, fine)

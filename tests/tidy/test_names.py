"""Names: modules say what is inside, and the code uses the words of the glossary."""

from __future__ import annotations

import ast

from tidy import checks, tree


def test_no_module_has_an_empty_name() -> None:
    faults = [path for path in tree.python_files() if checks.empty_name(path)]

    assert not faults, checks.joined(faults)


def test_every_module_says_what_it_is_for() -> None:
    faults = [
        path
        for path in tree.python_files()
        if not ast.get_docstring(tree.parsed(path)) and tree.text(path).strip()
    ]

    assert not faults, checks.joined(faults)


def test_the_words_of_the_old_documents_stay_on_the_wire() -> None:
    ours = [
        path
        for path in tree.python_files("src/tallybook", "src/credit_sdk")
        # A family keeps its old words, and only there.
        if not path.startswith("src/tallybook/api/families/")
    ]

    faults = [f"{path}: {name}" for path in ours for name in sorted(checks.foreign_words(tree.parsed(path)))]
    assert not faults, checks.joined(faults)


def test_a_test_is_named_by_a_sentence() -> None:
    faults = [
        f"{path}: {node.name}"
        for path in tree.python_files("tests")
        for node in tree.functions(tree.parsed(path))
        if node.name.startswith("test_") and node.name.count("_") < 3
    ]

    assert not faults, checks.joined(faults)

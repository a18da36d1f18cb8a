"""Sizes: functions, files and endpoints stay small enough to read in one go."""

from __future__ import annotations

from tidy import checks, tree

# What is longer than the limit today, with its length. The list can only shrink: nothing may be added, and what fits
# again must be taken off.
LONG_FILES: dict[str, int] = {}
LONG_FUNCTIONS: dict[str, int] = {}
LONG_ENDPOINTS: dict[str, int] = {}


def test_no_file_is_longer_than_300_lines() -> None:
    found = {path: tree.text(path).count("\n") for path in tree.python_files()}

    long = {path: lines for path, lines in found.items() if lines > checks.FILE_LINES_MAX}
    faults = checks.shrinking(long, LONG_FILES)
    assert not faults, checks.joined(faults)


def test_no_function_is_longer_than_60_lines() -> None:
    found = {
        f"{path}:{name}": lines
        for path in tree.python_files()
        for name, lines in checks.long_functions(tree.parsed(path)).items()
    }

    faults = checks.shrinking(found, LONG_FUNCTIONS)
    assert not faults, checks.joined(faults)


def test_no_endpoint_is_longer_than_25_lines() -> None:
    found = {
        f"{path}:{name}": lines
        for path in tree.python_files("src/tallybook/api")
        for name, lines in checks.long_endpoints(tree.parsed(path)).items()
    }

    faults = checks.shrinking(found, LONG_ENDPOINTS)
    assert not faults, checks.joined(faults)

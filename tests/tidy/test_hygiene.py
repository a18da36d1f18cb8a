"""Hygiene: no secrets, no traces of one machine, nothing left undone, and nothing that switches the checks off."""

from __future__ import annotations

import pytest
from tidy import checks, tree

# Built here so that this file does not hold what it forbids.
_LIVE = "li" + "ve"
SECRETS = (
    rf"\b[sr]k_{_LIVE}_[0-9A-Za-z]{{8,}}"
    rf"|\bpk_{_LIVE}_[0-9A-Za-z]{{8,}}"
    r"|\bwhsec_[0-9A-Za-z+/]{24,}"
    r"|-----BEGIN [A-Z ]*" + "PRIVATE KEY-----"
)
MACHINE_PATHS = r"(?<![\w.$}/-])/(?:work|root|home/[a-z]\w*|Users/[A-Za-z]\w*)/"
UNDONE = rf"\b(?:{'TO' + 'DO'}|{'FIX' + 'ME'}|{'XX' + 'X'}|{'NotImplemented' + 'Error'})\b"
PATCHING = r"\bunittest\.mock\b|\bfrom unittest import mock\b|\bmonkeypatch\.setattr\b|\bmocker\b"
SKIPPING = r"\bpytest\.(?:mark\.)?(?:skip|skipif|xfail|importorskip)\b"
UNCHECKED = r"\bpython[0-9.]*\s+(?:-\S+\s+)*-O+\b|\bPYTHONOPTIMIZE\b"
INDEX_HOSTS = r"--(?:extra-)?index-url|--find-links|--trusted-host|\bhttps?://|\"resolved\":"
QUOTED = (tree.QUOTED,)
THIS = "tests/tidy/test_hygiene.py"


def _faults(pattern: str, paths: list[str]) -> list[str]:
    return [f"{path}:{line}" for path in paths for line in checks.matches(pattern, tree.text(path))]


def _everywhere(*, besides: tuple[str, ...] = ()) -> list[str]:
    return [path for path in tree.files() if not path.startswith((THIS, *besides))]


def _of_lock_files() -> list[str]:
    return [path for path in tree.files() if path.endswith((".lock", "package-lock.json"))]


@pytest.mark.parametrize(
    ("pattern", "besides"),
    [
        pytest.param(SECRETS, (), id="secrets"),
        pytest.param(MACHINE_PATHS, QUOTED, id="machine_paths"),
        pytest.param(UNDONE, QUOTED, id="undone"),
        pytest.param(UNCHECKED, (), id="assertions_switched_off"),
    ],
)
def test_the_tree_is_free_of(pattern: str, besides: tuple[str, ...]) -> None:
    faults = _faults(pattern, _everywhere(besides=besides))

    assert not faults, checks.joined(faults)


def test_nothing_is_patched_and_no_test_is_skipped() -> None:
    tests = [path for path in tree.python_files("tests", "bench") if path != THIS]

    faults = [*_faults(PATCHING, tests), *_faults(SKIPPING, tests)]
    assert not faults, checks.joined(faults)


def test_lock_files_name_no_index_host() -> None:
    locks = _of_lock_files()

    faults = _faults(INDEX_HOSTS, locks)
    assert "requirements.lock" in locks
    assert not faults, checks.joined(faults)


def test_every_locked_package_has_a_hash() -> None:
    blocks = tree.text("requirements.lock").replace("\\\n", " ").splitlines()

    faults = [line[:60] for line in blocks if "==" in line and "--hash=sha256:" not in line]
    assert not faults, checks.joined(faults)

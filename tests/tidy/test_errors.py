"""Errors: every code has a class, a status, a row in the documentation and an exception in the SDK."""

from __future__ import annotations

from tidy import checks, tree

import credit_sdk.errors as sdk_errors
from tallybook.api.problems import STATUS
from tallybook.domain.errors import all_codes


def _documented() -> dict[str, str]:
    return {row[0]: row[1] for row in checks.table_rows(tree.text("docs/errors.md")) if row[0] != "code"}


def test_every_code_has_a_status_and_every_status_a_code() -> None:
    assert STATUS.keys() == all_codes().keys()


def test_every_code_is_documented_with_its_status() -> None:
    documented = _documented()

    assert documented.pop("internal_error") == "500", "what a bug looks like from outside"
    assert documented == {code: str(status) for code, status in STATUS.items()}


def test_every_code_has_its_own_exception_in_the_sdk() -> None:
    own = set(sdk_errors.BY_CODE) - sdk_errors.OWN_CODES

    assert own == all_codes().keys()
    assert len({sdk_errors.BY_CODE[code] for code in own}) == len(own)


def test_every_refusal_says_what_to_do_or_what_is_wrong_in_one_sentence() -> None:
    faults = [
        f"{code}: {kind.__name__}"
        for code, kind in all_codes().items()
        if not (kind.__doc__ or "").strip() or "\n" in (kind.__doc__ or "").strip()
    ]

    assert not faults, checks.joined(faults)

"""Planted bugs are caught, each by the check that is there for it; the unbroken product passes the same check."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import canaries
from faults.bank import Bank, open_bank
from faults.canaries import CANARIES, Canary


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    """One bank for all canaries; each has a customer of its own, and takes its bug out again."""
    with open_bank(tmp_path_factory.mktemp("canaries"), accounts=1) as opened:
        yield opened


@pytest.mark.timeout(400)
@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.name.replace(" ", "_"))
def test_a_planted_bug_is_caught_and_the_product_passes(canary: Canary, bank: Bank, tmp_path: Path) -> None:
    found = canaries.try_out(canary, bank, tmp_path)

    assert canaries.verdict(canary, found) == ""

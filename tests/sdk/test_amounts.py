"""Credits as callers write them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from credit_sdk.amounts import credits_of, micro_of, positive_micro_of
from credit_sdk.errors import AmountOutOfRangeError


@pytest.mark.parametrize(
    ("credits", "micro"),
    [
        (5, 5_000_000),
        ("0.25", 250_000),
        (Decimal("0.000001"), 1),
        (0, 0),
        (10**9, 10**15),
        ("1e3", 10**9),
    ],
)
def test_credits_become_micro_credits_exactly(credits: int | str | Decimal, micro: int) -> None:
    assert micro_of(credits) == micro


def test_a_float_is_refused_with_a_hint() -> None:
    with pytest.raises(TypeError, match=r'Decimal\("0.1"\)'):
        micro_of(0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize("credits", [True, None, b"5", [5]])
def test_what_is_no_amount_is_refused(credits: object) -> None:
    with pytest.raises(TypeError, match="credits must be"):
        micro_of(credits)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "credits", [-1, "-0.000001", "0.0000001", "NaN", "Infinity", "five", "", 10**9 + 1, "1e400", "9" * 40]
)
def test_an_amount_outside_the_range_is_refused(credits: int | str) -> None:
    with pytest.raises(AmountOutOfRangeError):
        micro_of(credits)


def test_what_moves_is_not_zero() -> None:
    with pytest.raises(AmountOutOfRangeError):
        positive_micro_of("0.0")


@pytest.mark.parametrize("micro", [0, 5_000_000, 1, 250_000, 10**15, 10**15 - 1, -1_500_000])
def test_credits_are_an_int_when_whole_and_exact_otherwise(micro: int) -> None:
    credits = credits_of(micro)

    assert credits * 1_000_000 == micro
    assert isinstance(credits, int) == (micro % 1_000_000 == 0)

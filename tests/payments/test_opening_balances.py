"""Opening balances of an import are read from a file, each line or none."""

from __future__ import annotations

import pytest

from tallybook.domain.errors import InvalidRequestError
from tallybook.domain.money import Credits
from tallybook.domain.payments.importing import parse_balances


@pytest.mark.parametrize(
    "text",
    ["a,b\n", "email,credits\na@b.c,many\n", "email,credits\n,5\n", "email,credits\na@b.c,1\nA@b.c,2\n"],
)
def test_balances_that_cannot_be_read_are_refused_with_their_line(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        parse_balances(text)


def test_balances_are_read_by_customer_or_email() -> None:
    found = parse_balances("customer,email,credits\ncus_1,,5\n,A@b.c,0.25\n")

    assert found == {"cus_1": Credits.whole(5), "a@b.c": Credits(250_000)}

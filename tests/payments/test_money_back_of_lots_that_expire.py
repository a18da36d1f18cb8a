"""Only what was used is owed, whenever a lot expires: a lot that is spent, expires and is taken back, in any order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from payments.lots import a_lot
from tallybook.domain.ledger.requests import Account
from tallybook.domain.money import Credits
from tallybook.domain.payments.money_back import Taken, moves


class Life:
    """One lot of 100 in a wallet of nothing else: spent, expired, and taken back, in any order."""

    def __init__(self) -> None:
        self.available = self.brought = 100
        self.spent = self.expired = self.taken = self.posted = self.debt = 0
        self.is_over = False

    def spend(self, micro: int) -> None:
        micro = min(micro, self.available)
        self.available -= micro
        self.spent += micro

    def expire(self) -> None:
        if not self.is_over:
            self.is_over, self.expired, self.available = True, self.available, 0

    def refund(self, gross: int) -> None:
        lot = a_lot(
            1,
            100,
            brought_micro=self.brought,
            available_micro=self.available,
            expired_micro=self.expired,
            taken_micro=self.taken,
            posted={Account.REFUNDED: self.posted, Account.DISPUTED: 0},
        )
        for move in moves([lot], Taken(Credits(gross), Credits(0))):
            self.posted += move.micro
            if move.micro > 0:
                own = min(move.micro, self.available)
                self.available, self.taken = self.available - own, self.taken + own
                self.debt += move.micro - own
            else:
                paid = min(self.debt, -move.micro)
                self.debt -= paid
                self.brought -= move.micro
                self.available += -move.micro - paid


ACTS = st.lists(
    st.one_of(
        st.integers(0, 100).map(lambda n: ("spend", n)),
        st.integers(0, 100).map(lambda n: ("refund", n)),
        st.just(("expire", 0)),
    ),
    max_size=10,
)


@given(ACTS, st.integers(0, 100))
def test_only_what_was_used_of_the_money_that_went_back_is_owed_whenever_the_rest_expired(
    acts: list[tuple[str, int]], last: int
) -> None:
    life = Life()

    for act, micro in acts:
        if act == "expire":
            life.expire()
        else:
            getattr(life, act)(micro)
    life.refund(last)

    assert life.debt == max(0, last + life.spent - 100)
    if not life.is_over:
        assert life.available == max(0, 100 - last - life.spent)

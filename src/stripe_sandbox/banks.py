"""Test bank accounts by IBAN, and how a debit of each one ends. No real account works here.

Numbers follow docs.stripe.com/payments/sepa-debit and the fixtures of the Stripe CLI. Accounts that are typed on
the hosted page have no number: their debits wait for the desk. Leaves debiting to ``payment``.
"""

import re
from dataclasses import dataclass

from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json

_IBAN = re.compile(r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$")
_MINUTES = 180
_MODULUS = 97


@dataclass(frozen=True)
class Debit:
    """How a debit ends: paid or not, after so many seconds."""

    paid: bool = True
    after: int = 0

    def note(self) -> Json:
        """Return what is kept beside the payment method."""
        return {"debit_paid": self.paid, "debit_after": self.after}


_SPECIAL = {
    "AT321904300235473204": Debit(after=_MINUTES),
    "AT861904300235473202": Debit(paid=False),
    "AT051904300235473205": Debit(paid=False, after=_MINUTES),
    "DE62370400440532013001": Debit(paid=False),
    "IT60X0542811101000000123456": Debit(paid=False),
}
"""Every other account pays at once."""


def debit(iban: str) -> Debit:
    """Return how a debit of an account ends."""
    return _SPECIAL.get(_plain(iban), Debit())


def details(iban: str) -> Json:
    """Return what a payment method shows of an account; raises `ApiError` for a number that cannot be one."""
    plain = _plain(iban)
    turned = plain[4:] + plain[:4]
    if not _IBAN.match(plain) or int("".join(str(int(sign, 36)) for sign in turned)) % _MODULUS != 1:
        message = "The IBAN you provided is invalid."
        raise ApiError(message, code="invalid_bank_account_iban", param="sepa_debit[iban]")
    return {"bank_code": plain[4:9], "country": plain[:2], "last4": plain[-4:]}


def _plain(iban: str) -> str:
    return iban.replace(" ", "").upper()

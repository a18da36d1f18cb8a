"""Prefixed ids as callers see them (``wal_12``, ``trf_12_7``), and back to the numbers inside.

A transfer, a hold and a lot are numbered within their wallet, so their ids (and a budget's) name both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tallybook.domain.errors import NotFoundError

_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
TRANSACTION_ID_STEP = 1_000_000_000


def plain_id(prefix: str, number: int) -> str:
    """A wire id of one number, such as ``wal_12``."""
    return f"{prefix}_{number}"


def parse_plain_id(prefix: str, text: str) -> int:
    """The number in a wire id.

    Raises:
        NotFoundError: it is not an id of this kind, so nothing can have it.
    """
    head, _, tail = text.partition("_")
    if head != prefix or not _NUMBER.fullmatch(tail):
        raise NotFoundError(f"{text!r} is not an id of the form {prefix}_<number>.")
    return int(tail)


@dataclass(frozen=True, slots=True, order=True)
class LedgerId:
    """A transfer, hold or lot: the wallet's id and the version of the transfer that made it; or a budget's number."""

    wallet_id: int
    version: int

    def wire(self, prefix: str) -> str:
        """As callers see it: ``trf_12_7``, ``hld_12_7``, ``lot_12_7`` or ``bud_12_7``."""
        return f"{prefix}_{self.wallet_id}_{self.version}"

    def integer(self) -> int:
        """The permanent integer that the seed documents call a transaction id."""
        return self.wallet_id * TRANSACTION_ID_STEP + self.version

    @classmethod
    def parse(cls, prefix: str, text: str) -> LedgerId:
        """Read a wire id.

        Raises:
            NotFoundError: it is not an id of this kind.
        """
        head, _, rest = text.partition("_")
        wallet, _, version = rest.partition("_")
        if head != prefix or not _NUMBER.fullmatch(wallet) or not _NUMBER.fullmatch(version):
            raise NotFoundError(f"{text!r} is not an id of the form {prefix}_<wallet>_<number>.")
        return cls(int(wallet), int(version))

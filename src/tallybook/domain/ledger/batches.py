"""A batch of spends and grants: what is asked for each, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tallybook.domain.errors import BatchRefusedError, BillingError
from tallybook.domain.ledger.requests import Answer, Note
from tallybook.domain.money import Credits

ITEMS_MAX = 10_000


class BatchMode(StrEnum):
    """Whether one refused item lets the others through."""

    EACH = "each"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchItem:
    """One spend or grant, of a user's default wallet or of a wallet."""

    is_grant: bool
    credits: Credits
    key: str
    user_id: int | None
    wallet_id: int | None
    note: Note | None


Outcome = Answer | BillingError


def refused_by(index: int, refusal: BillingError) -> BatchRefusedError:
    """The batch's refusal, for an item that was refused before the ledger was asked."""
    return BatchRefusedError(index=index, item_code=refusal.code, item_facts=refusal.facts)

"""A witness of concurrent callers: do the answers that they got make one order, and one that agrees with the clock?

It looks at nothing but what callers saw, so it would notice a ledger whose books tie but whose answers do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from tallybook.domain.ledger.requests import Answer

# What a request of each kind does to available and held, by its amount and by what it released.
EFFECTS: Mapping[str, Callable[[int, int], tuple[int, int]]] = {
    "grant": lambda amount, _: (amount, 0),
    "spend": lambda amount, _: (-amount, 0),
    "hold": lambda amount, _: (-amount, amount),
    "capture": lambda amount, released: (released, -amount - released),
    "release": lambda amount, _: (amount, -amount),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """An answer, with when its request was sent and when it came."""

    sent: float
    received: float
    answer: Answer


def objections(seen: Iterable[Seen]) -> list[str]:
    """What does not fit, in O(n log n); empty when there is one order that explains all answers."""
    found: list[str] = []
    ordered = sorted(seen, key=lambda s: (s.answer.transfer.wallet_id, s.answer.transfer.version))
    for wallet, group in groupby(ordered, key=lambda s: s.answer.transfer.wallet_id):
        version, available, held, last_sent = 0, 0, 0, float("-inf")
        for s in group:
            a = s.answer
            place = f"wallet {wallet}, version {a.transfer.version}"
            if a.transfer.version != version + 1:
                found.append(f"{place}: follows version {version}")
            change = EFFECTS[a.kind](a.amount_micro, a.released_micro)
            if (a.available_micro, a.held_micro) != (available + change[0], held + change[1]):
                found.append(f"{place}: its balances do not follow from those before")
            if s.received < last_sent:
                found.append(f"{place}: was answered before a request was sent that has a lower version")
            version, available, held = a.wallet_version, a.available_micro, a.held_micro
            last_sent = max(last_sent, s.sent)
    return found

"""A witness of concurrent callers: do the answers that they got make one order, and one that agrees with the clock?

It looks at nothing but what callers saw, so it would notice a ledger whose books tie but whose answers do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from tallybook.domain.ledger.requests import Answer, Wallet

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


@dataclass(frozen=True, slots=True)
class Looked:
    """A wallet as somebody read it, with when they asked and when they were told."""

    sent: float
    received: float
    wallet: Wallet


@dataclass(slots=True)
class _Place:
    """How far the order of a wallet is known: the state there, and when the latest request up to there was sent."""

    version: int = 0
    available: int = 0
    held: int = 0
    last_sent: float = float("-inf")


class Witness:
    """Hears callers round by round, so that it need not remember more than a round."""

    def __init__(self) -> None:
        """Nothing was heard; each wallet begins empty."""
        self._places: dict[int, _Place] = {}

    def objections(self, told: Iterable[Seen | Looked]) -> list[str]:
        """What does not fit, in O(n log n); empty when one order explains this round after those before.

        A round ends when everybody was answered: what is told later was sent later.
        """
        found: list[str] = []
        for one in sorted(told, key=_in_order):
            if isinstance(one, Seen):
                answer = one.answer
                place = self._places.setdefault(answer.transfer.wallet_id, _Place())
                faults = _faults_of_answer(place, answer)
                place.version, place.available = answer.wallet_version, answer.available_micro
                place.held = answer.held_micro
                where = f"wallet {answer.transfer.wallet_id}, version {answer.transfer.version}"
            else:
                place = self._places.setdefault(one.wallet.wallet_id, _Place())
                faults = _faults_of_look(place, one.wallet)
                where = f"wallet {one.wallet.wallet_id}, a look at version {one.wallet.version}"
            if one.received < place.last_sent:
                faults.append("was answered before a request was sent that comes earlier in the order")
            place.last_sent = max(place.last_sent, one.sent)
            found += [f"{where}: {fault}" for fault in faults]
        return found

    def version(self, wallet_id: int) -> int:
        """The last version of a wallet that anybody was told."""
        return self._places[wallet_id].version


def _in_order(one: Seen | Looked) -> tuple[int, int, bool, float]:
    # Looks at one version may change places among themselves: by when they were sent is the order that can hold.
    if isinstance(one, Seen):
        return (one.answer.transfer.wallet_id, one.answer.transfer.version, False, one.sent)
    return (one.wallet.wallet_id, one.wallet.version, True, one.sent)


def _faults_of_answer(place: _Place, answer: Answer) -> list[str]:
    faults = []
    if answer.transfer.version != place.version + 1:
        faults.append(f"follows version {place.version}")
    available, held = EFFECTS[answer.kind](answer.amount_micro, answer.released_micro)
    if (answer.available_micro, answer.held_micro) != (place.available + available, place.held + held):
        faults.append("its balances do not follow from those before")
    return faults


def _faults_of_look(place: _Place, wallet: Wallet) -> list[str]:
    seen = (wallet.version, wallet.available_micro, wallet.held_micro)
    if seen != (place.version, place.available, place.held):
        return [f"is not how version {place.version} left it"]
    return []

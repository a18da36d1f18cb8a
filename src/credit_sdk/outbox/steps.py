"""What happens in which order, written once for both clients: generators that yield what is to be waited for.

A step asks the service or does something on disk; the drivers in ``senders.py`` do it, blocking or awaited, and
send back what came of it, or throw the refusal in.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from credit_sdk.errors import CreditError, ServiceUnreachableError
from credit_sdk.outbox.leases import Leases
from credit_sdk.outbox.spends import Spends
from credit_sdk.outbox.store import Store
from credit_sdk.outbox.terms import FailOpen
from credit_sdk.requests import Request

T = TypeVar("T")
log = logging.getLogger("credit_sdk.outbox")
_FAULTS_FROM = 500
_TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the service, with little patience."""

    request: Request[Any]


@dataclass(frozen=True, slots=True)
class Local:
    """Do something on disk."""

    call: Callable[[], Any]


Steps = Generator[Ask | Local, Any, T]


class Gate:
    """Whether the service is asked at all: after it was away, not for a while, and then by one caller first."""

    def __init__(self, pause_seconds: float) -> None:
        """It is open."""
        self._pause = pause_seconds
        self._shut_until: float | None = None
        self._lock = threading.Lock()

    def may_ask(self) -> bool:
        """Whether to ask now. Of those who wait for the pause to end, one may, and the others go on waiting."""
        with self._lock:
            if self._shut_until is None:
                return True
            now = time.monotonic()
            if now < self._shut_until:
                return False
            self._shut_until = now + self._pause
            return True

    def away(self) -> None:
        """The service did not answer."""
        with self._lock:
            self._shut_until = time.monotonic() + self._pause

    def back(self) -> None:
        """It answered."""
        self._shut_until = None


class Books:
    """What the steps work on: the terms, the two tables of the outbox file, and the gate."""

    def __init__(self, terms: FailOpen, service: str) -> None:
        """Nothing is opened before it is needed; ``service`` is the address that the file belongs to."""
        self.terms = terms
        self.store = Store(terms.outbox, service)
        self.spends = Spends(self.store, terms.claim_seconds)
        self.leases = Leases(self.store, terms)
        self.gate = Gate(terms.pause_seconds)

    def ask(self, request: Request[Any]) -> Steps[Any]:
        """Ask the service, and note whether it is there.

        Raises:
            CreditError: as the client; ``is_away`` says whether it is an answer.
        """
        try:
            answer = yield Ask(request)
        except CreditError as problem:
            if is_away(problem):
                self.gate.away()
            else:
                self.gate.back()
            raise
        self.gate.back()
        return answer


def is_away(problem: CreditError) -> bool:
    """Whether this means that the service is away, rather than that it said no."""
    return isinstance(problem, ServiceUnreachableError) or (problem.status or 0) >= _FAULTS_FROM


def is_later(problem: CreditError) -> bool:
    """Whether there is no point in asking anything else now."""
    return is_away(problem) or problem.status == _TOO_MANY

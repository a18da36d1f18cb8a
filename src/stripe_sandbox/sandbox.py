"""One running sandbox: its store, clock, keys in use and settings, shared by all entrances.

Leaves HTTP to ``api.dispatch``, ``hosted`` and ``control``, and sending to ``delivery``.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from stripe_sandbox import clocks
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.faults import Faults
from stripe_sandbox.idempotency import Keys
from stripe_sandbox.journal import Journal
from stripe_sandbox.kinds import Json
from stripe_sandbox.store import Store


def _nobody() -> None:
    """Stand for who is not there yet."""


@dataclass
class Sandbox:
    """What every entrance works on."""

    store: Store
    clock: Callable[[], float] = time.time
    base_url: str = "http://127.0.0.1:12111"
    """Where the hosted pages are, when no request says otherwise."""
    latency: float = 0.0
    """Seconds that each write waits before it is worked on; set by a test."""
    wake: Callable[[], None] = _nobody
    """Told after each commit that may have written events."""
    catch_up: Callable[[], None] = _nobody
    """Asked before each API request: what is due in real time has then happened."""
    faults: Faults = field(default_factory=Faults)
    """What goes wrong on demand."""
    journal: Journal = field(default_factory=Journal)
    """Where it is kept what callers were told, if anywhere."""
    keys: Keys = field(init=False)

    def __post_init__(self) -> None:
        """Open the key book on the same store."""
        self.keys = Keys(self.store)

    @property
    def now(self) -> int:
        """Seconds since 1970."""
        return int(self.clock())

    def call(self, base_url: str | None = None, **details: Any) -> Call:
        """Return a piece of work; `details` are fields of `Call`."""
        return Call(store=self.store, now=self.now, base_url=base_url or self.base_url, **details)

    @contextmanager
    def work(
        self, base_url: str | None = None, params: Json | None = None, about: str = ""
    ) -> Iterator[Call]:
        """Give a `Call` inside a transaction of its own, at the time of the object `about`; then tell the courier.

        A refusal that keeps its effects (a declined card) commits and goes on to the caller.
        """
        kept: ApiError | None = None
        with self.store.transaction():
            try:
                call = self.call(base_url, params=params or {})
                yield clocks.at(call, self.store.get(about)) if about else call
            except ApiError as refusal:
                if not refusal.keeps_effects:
                    raise
                kept = refusal
        self.wake()
        if kept is not None:
            raise kept

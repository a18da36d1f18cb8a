"""The ways of spending that are measured: each a table (or a ledger), a spend, and a check of its books."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bench.slices import Slice

FUNDED = 1_000_000
"""Credits in each wallet at the start: no measured spend is refused for want of credits."""


class Way(Protocol):
    """One way of spending. A spend is of one credit, durable when it is answered."""

    name: str
    remark: str
    callers: int

    async def measure(self, wallets: Sequence[int], seconds: float) -> Slice:
        """Spend from these wallets at full speed for a bounded time."""

    async def faults(self, accepted: int) -> list[str]:
        """What is wrong with the books after ``accepted`` spends were acknowledged; empty when they tie."""


class Tunable(Way, Protocol):
    """A way whose speed depends on its number of connections."""

    def use(self, connections: int) -> None:
        """Use this many connections from now on."""

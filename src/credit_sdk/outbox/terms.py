"""What a client does when the service is away: fail closed, or open within a lease (see ``docs/sdk.md``)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from credit_sdk.amounts import Amount, positive_micro_of
from credit_sdk.errors import SettingsError
from credit_sdk.outbox.rows import OutboxSpend


@dataclass(frozen=True, slots=True)
class FailClosed:
    """Without the service nothing is spent: the call raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailOpen:
    """Without the service spends are taken from a lease: credits that were held for it while the service was there.

    Attributes:
        lease: credits that are held for each user who spends; also the most that is spent of theirs while the
        service is away. They are not available elsewhere meanwhile, so keep it small.
        outbox: a file (SQLite) on a local disk that survives a restart; processes of one machine may share it.
        lifetime_seconds: how long a lease covers an absence; it is extended when half of it has passed.
        idle_seconds: a user who did not spend for so long has no lease any more.
        patience_seconds: how long a spend waits for the service before it turns to the lease.
        pause_seconds: how long the service is then not asked at all, so that not every spend waits.
        background: a thread (or task) settles the outbox and keeps the leases. Without it call
        ``client.outbox.settle()`` and ``client.outbox.keep_leases()`` yourself.
        on_uncollected: told of each spend that could not be collected, at least once.
    """

    lease: Amount
    outbox: str | os.PathLike[str]
    lifetime_seconds: int = 900
    idle_seconds: int = 3600
    patience_seconds: float = 2.0
    pause_seconds: float = 5.0
    background: bool = True
    on_uncollected: Callable[[OutboxSpend], None] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            SettingsError: a time that is not above zero. TypeError, AmountOutOfRangeError: no amount for a lease.
        """
        positive_micro_of(self.lease)
        for name in ("lifetime_seconds", "idle_seconds", "patience_seconds", "pause_seconds"):
            if not getattr(self, name) > 0:
                message = f"FailOpen: {name} must be above zero."
                raise SettingsError(message)

    @property
    def lease_micro(self) -> int:
        """The lease in micro-credits."""
        return positive_micro_of(self.lease)

    @property
    def claim_seconds(self) -> float:
        """How long a line or lease that somebody works on is left to them; then they are taken for dead."""
        return 4 * self.patience_seconds + 1

    @property
    def tick_seconds(self) -> float:
        """How often the background looks."""
        return min(self.pause_seconds, self.lifetime_seconds / 4)


WhenAway = FailClosed | FailOpen

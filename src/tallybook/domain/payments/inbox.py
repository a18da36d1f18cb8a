"""An event in the inbox, as people and the worker see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class EventStatus(StrEnum):
    """``received`` and ``retry`` wait, ``processing`` is leased, the rest is settled until replayed."""

    RECEIVED = "received"
    PROCESSING = "processing"
    RETRY = "retry"
    DONE = "done"
    IGNORED = "ignored"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """One event, stored once, however often it was delivered."""

    event_id: str
    type: str
    api_version: str | None
    livemode: bool
    account_id: str | None
    object_id: str | None
    customer_id: str | None
    stripe_created: datetime
    intake_path: str
    received_at: datetime
    deliveries: int
    status: EventStatus
    attempts: int
    next_attempt_at: datetime
    last_error: str | None
    outcome: str | None
    settled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to settle an event; only its holder can mark the event done."""

    event_id: str
    lease_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedEvent:
    """An event that a worker has leased."""

    lease: Lease
    type: str
    object_id: str | None
    livemode: bool
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which events: one, or those of a status received in the half-open time [since, until)."""

    event_id: str | None = None
    status: EventStatus | None = None
    since: datetime | None = None
    until: datetime | None = None

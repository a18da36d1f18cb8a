"""An event in the inbox, as people and the worker see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

GIVEN_UP = "given_up"
"""The outcome of a dead event that somebody gave up: nothing wakes it but its own replay."""

_HIDDEN = "[secret]"
_SECRET_VALUES = ("sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_", "ek_live_", "ek_test_")


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
    """One event, stored once, however often it was delivered.

    ``verified_by`` are fingerprints of the signing secrets that verified it; ``replays`` is how often somebody had it
    worked on again.
    """

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
    verified_by: tuple[str, ...]
    status: EventStatus
    attempts: int
    next_attempt_at: datetime
    last_error: str | None
    outcome: str | None
    settled_at: datetime | None
    replays: int

    @property
    def next_try(self) -> datetime | None:
        """When it is tried next; None when nothing is to come."""
        waits = self.status in {EventStatus.RECEIVED, EventStatus.RETRY, EventStatus.PROCESSING}
        return self.next_attempt_at if waits else None


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
    """Which events: those that match all that is given, received in the half-open time [since, until)."""

    event_ids: tuple[str, ...] = ()
    status: EventStatus | None = None
    type: str | None = None
    customer_id: str | None = None
    object_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """A line of the audit log about an event; ``by_event``: it was done while the event was being settled."""

    at: datetime
    actor: str
    action: str
    subject: str
    after: Mapping[str, Any]
    by_event: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """What an event led to, and what people did to it.

    ``transfers`` were posted while it was being settled; ``transfers_of_object`` are those of the payment that its
    object is, whoever settled that first: another event, or the customer who came back.
    """

    acts: tuple[Act, ...]
    transfers: tuple[str, ...]
    transfers_of_object: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxFigures:
    """How the inbox fares; ``dead`` without what somebody gave up, ``lag_seconds`` of the event that is due longest."""

    received: int
    retrying: int
    processing: int
    dead: int
    oldest_seconds: float
    lag_seconds: float


def shown(payload: Any) -> Any:
    """A payload as people may see it: whatever would let its reader act for the customer or for us is blotted out."""
    if isinstance(payload, dict):
        return {
            name: _HIDDEN if _is_secret(name) and isinstance(value, str) else shown(value)
            for name, value in payload.items()
        }
    if isinstance(payload, list):
        return [shown(value) for value in payload]
    if isinstance(payload, str) and payload.startswith(_SECRET_VALUES):
        return _HIDDEN
    return payload


def transfers_in(after: Mapping[str, Any]) -> list[str]:
    """The transfers that a line of the audit log names."""
    named = [after.get("transfer"), *(after.get("transfers") or [])]
    return [name for name in named if isinstance(name, str)]


def _is_secret(name: str) -> bool:
    return name == "secret" or name.endswith(("_secret", "_token", "password"))

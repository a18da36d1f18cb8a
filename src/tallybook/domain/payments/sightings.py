"""Which signing secrets and which API versions come in, and what follows from it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

VERSIONS_TESTED = (
    "2023-10-16",
    "2025-02-24.acacia",
    "2025-08-27.basil",
    "2026-02-25.clover",
    "2026-10-28.endive",
)
"""Versions of events that the intake is tested with; any other is taken too, and raises an alarm."""

OVERLAP = timedelta(hours=24)
"""How long Stripe signs with the old secret too after a roll, at most: https://docs.stripe.com/webhooks#roll-endpoint-secrets."""


def drifted(api_version: str | None) -> bool:
    """Whether an event's version is one that nobody tested; an event that says none does not tell."""
    return api_version is not None and api_version not in VERSIONS_TESTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """When a secret verified events of a version on a path, to the minute.

    ``last_needed_at`` is when no other secret would have done.
    """

    intake_path: str
    fingerprint: str
    api_version: str
    first_seen_at: datetime
    last_seen_at: datetime
    last_needed_at: datetime | None


class SecretState(StrEnum):
    """What a signing secret of a path is good for."""

    IN_USE = "in_use"
    NOT_SEEN = "not_seen"
    SPARE = "spare"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretUse:
    """A signing secret of an intake path, by its fingerprint, and what it verified.

    ``place`` counts the live secrets of the path from 1; None: it is not set any more. ``spare`` can be dropped: for a
    day it was not needed while another one was seen.
    """

    intake_path: str
    place: int | None
    fingerprint: str
    state: SecretState
    first_seen_at: datetime | None
    last_seen_at: datetime | None
    last_needed_at: datetime | None
    versions: tuple[str, ...]


def uses(intake_path: str, fingerprints: Sequence[str], sightings: Sequence[Sighting]) -> list[SecretUse]:
    """Each secret that is set for a path, then each that once verified something there and is not set any more."""
    here = [one for one in sightings if one.intake_path == intake_path]
    gone = sorted({one.fingerprint for one in here} - set(fingerprints))
    return [
        _use(intake_path, place, fingerprint, here, live=fingerprints)
        for place, fingerprint in [*enumerate(fingerprints, 1), *((None, one) for one in gone)]
    ]


def _use(
    intake_path: str, place: int | None, fingerprint: str, here: Sequence[Sighting], *, live: Sequence[str]
) -> SecretUse:
    own = [one for one in here if one.fingerprint == fingerprint]
    needed = max((one.last_needed_at for one in own if one.last_needed_at), default=None)
    last = max((one.last_seen_at for one in own), default=None)
    others = [one for one in here if one.fingerprint != fingerprint and one.fingerprint in live]
    if place is None:
        state = SecretState.UNKNOWN
    elif last is None:
        state = SecretState.NOT_SEEN
    else:
        since = needed or min(one.first_seen_at for one in own)
        spare = any(one.last_seen_at >= since + OVERLAP for one in others)
        state = SecretState.SPARE if spare else SecretState.IN_USE
    return SecretUse(
        intake_path=intake_path,
        place=place,
        fingerprint=fingerprint,
        state=state,
        first_seen_at=min((one.first_seen_at for one in own), default=None),
        last_seen_at=last,
        last_needed_at=needed,
        versions=tuple(sorted({one.api_version or "none" for one in own})),
    )

"""What the service answers about reconciliations; see ``answers.py``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """A comparison of Stripe with the books: what was asked for, how far it is, what it counted.

    ``status`` is ``requested``, ``running``, ``done``, ``failed`` or ``interrupted``; ``differences`` and ``notices``
    are what it left open, of earlier ones too.
    """

    id: str
    status: str
    apply: bool
    asked_by: str
    requested_at: datetime
    events_fetched: int
    events_missing: int
    objects_compared: int
    found: int
    repaired: int
    differences: int
    notices: int
    totals: tuple[dict[str, Any], ...]
    since: datetime | None = None
    until: datetime | None = None
    began_at: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A difference: what the books would say if they agreed with Stripe, and what they say.

    ``status`` is ``open``, ``repaired``, ``gone`` or ``acknowledged``; ``repair`` is what would mend it, if anything.
    """

    id: str
    code: str
    severity: str
    kind: str
    object: str
    expected: str
    found: str
    status: str
    attempts: int
    first_seen_at: datetime
    last_seen_at: datetime
    customer: str | None = None
    user_id: int | None = None
    repair: str | None = None
    outcome: str | None = None
    reason: str | None = None
    settled_at: datetime | None = None

"""What the service answers about budgets and caps, as frozen dataclasses (see ``answers.py``)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A node of a wallet's tree of budgets; ``limit_micro`` None: it only counts.

    ``used_micro`` is what was spent in this period and what open holds have set aside.
    """

    id: str
    name: str
    kind: str
    period: str
    used_micro: int
    limit_micro: int | None = None
    parent: str | None = None
    wallet: str | None = None
    period_ends_at: datetime | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """How much one app may spend of the signed-in user's credits in a month; None: as much as there is."""

    app_id: str
    limit_micro: int | None = None
    used_micro: int = 0
    period_ends_at: datetime | None = None

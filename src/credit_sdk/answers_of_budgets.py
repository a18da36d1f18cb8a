"""What the service answers about budgets and caps, as frozen dataclasses (see ``answers.py``)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A node of a wallet's tree of budgets, or (with ``app_id``) a cap; ``limit_micro`` None: it only counts.

    ``spent_micro`` is what was spent in this period, ``held_micro`` what open holds have set aside.
    """

    id: str
    wallet: str
    name: str
    kind: str
    period: str
    spent_micro: int
    held_micro: int
    limit_micro: int | None = None
    parent: str | None = None
    app_id: str | None = None
    period_ends_at: datetime | None = None
    created_at: datetime

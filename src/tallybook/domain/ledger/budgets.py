"""Budgets: limits over a wallet, in a tree; and caps, an end user's monthly limit for one app.

Whether an amount still fits is decided under the wallet's lock by ``postgres/functions/budgets_v1.sql``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tallybook.domain.errors import BudgetNotFoundError, InvalidRequestError, PermissionDeniedError
from tallybook.domain.identity.callers import HOUSE_APP_ID, Caller
from tallybook.domain.ids import LedgerId

DEPTH_MAX = 16
NAME_LENGTH_MAX = 200
KIND_LENGTH_MAX = 40
KIND_DEFAULT = "general"
KIND_OF_CAPS = "cap"


class Period(StrEnum):
    """When a budget begins anew, by the UTC calendar; weeks begin on Monday."""

    NONE = "none"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetTerms:
    """What a budget is called and what it allows in each period; without a limit it only counts."""

    name: str
    kind: str = KIND_DEFAULT
    limit_micro: int | None = None
    period: Period = Period.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A budget as it is now; amounts in micro-credits, ``id.version`` is its number.

    ``keeper_app_id`` made it and may change it; 0 is the house, for the wallet's owner. A cap names its app.
    """

    id: LedgerId
    parent: LedgerId | None
    keeper_app_id: int
    capped_app_id: int | None
    capped_app: str | None
    terms: BudgetTerms
    spent_micro: int
    held_micro: int
    period_ends_at: datetime | None
    depth: int
    created_at: datetime
    updated_at: datetime

    def require_seen_by(self, caller: Caller) -> None:
        """Refuse an app what is another app's; whose wallet it is, is asked before.

        Raises:
            BudgetNotFoundError: it is another app's.
        """
        if not caller.by_key or caller.app_id == HOUSE_APP_ID:
            return
        if self.keeper_app_id not in {HOUSE_APP_ID, caller.app_id}:
            raise BudgetNotFoundError
        if self.capped_app_id not in {None, caller.app_id}:
            raise BudgetNotFoundError

    def require_changed_by(self, caller: Caller) -> None:
        """Refuse an app to change what it does not keep: who spends must not lift the owner's limits.

        Raises:
            BudgetNotFoundError: it is another app's. PermissionDeniedError: it is the owner's.
        """
        self.require_seen_by(caller)
        if caller.by_key and (self.keeper_app_id != caller.app_id or self.capped_app_id is not None):
            raise PermissionDeniedError(
                "The wallet's owner keeps this budget; only they and admins change it."
            )

    def require_room_below(self) -> None:
        """Refuse a budget below this one where none may be.

        Raises:
            InvalidRequestError: it is as deep as may be, or a cap.
        """
        if self.capped_app_id is not None:
            raise InvalidRequestError("There are no budgets below a cap.")
        if self.depth >= DEPTH_MAX:
            raise InvalidRequestError(f"Budgets are at most {DEPTH_MAX} deep.", depth_max=DEPTH_MAX)

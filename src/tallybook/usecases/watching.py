"""What the service says of itself to those who watch it."""

from __future__ import annotations

from dataclasses import dataclass

from tallybook.domain.identity.callers import Caller
from tallybook.postgres.group_commit import Figures
from tallybook.usecases.context import Context

__all__ = ["Figures", "Watched", "look"]


@dataclass(frozen=True, slots=True)
class Watched:
    """How group commit fares, and whether callers are remembered now."""

    group_commit: Figures
    remembers: bool


def look(ctx: Context, caller: Caller) -> Watched:
    """How this process fares.

    Raises:
        AdminRequiredError: only admins of the house and whoever has the machine may look.
    """
    caller.require_admin()
    return Watched(ctx.group_commit.figures(), ctx.known.is_hearing)

"""What the service says of itself to those who watch it."""

from __future__ import annotations

from dataclasses import dataclass

from tallybook.domain.errors import DatabaseUnavailableError
from tallybook.domain.identity.callers import Caller
from tallybook.domain.payments.inbox import InboxFigures
from tallybook.domain.payments.sightings import Sighting
from tallybook.postgres import inbox, sightings
from tallybook.postgres.group_commit import Figures
from tallybook.usecases.context import Context

__all__ = ["Figures", "Intake", "Watched", "look"]


@dataclass(frozen=True, slots=True)
class Intake:
    """How the inbox fares, and what came in by webhook when; of the whole installation."""

    inbox: InboxFigures
    sightings: list[Sighting]


@dataclass(frozen=True, slots=True)
class Watched:
    """How group commit fares, whether callers are remembered now, and the intake; None: the database is away."""

    group_commit: Figures
    remembers: bool
    intake: Intake | None


async def look(ctx: Context, caller: Caller) -> Watched:
    """How this process fares.

    Raises:
        AdminRequiredError: only admins of the house and whoever has the machine may look.
    """
    caller.require_admin()
    return Watched(ctx.group_commit.figures(), ctx.known.is_hearing, await _intake(ctx))


async def _intake(ctx: Context) -> Intake | None:
    try:
        async with ctx.db.snapshot() as tx:
            return Intake(await inbox.figures(tx, ctx.clock()), await sightings.every(tx))
    except DatabaseUnavailableError:
        # What this process counted is wanted most of all while the database is away.
        return None

"""Whether this installation can do its work."""

from __future__ import annotations

from dataclasses import dataclass

from tallybook.domain.errors import BillingError
from tallybook.postgres import installation, migrating
from tallybook.usecases.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """``database`` says in a word what is wrong, or ``ok``."""

    ok: bool
    database: str


async def health(ctx: Context) -> Health:
    """Ask the database for its revision and compare it with what this code expects."""
    try:
        async with ctx.db.snapshot() as tx:
            found = await installation.revision(tx)
    except BillingError as refusal:
        return Health(ok=False, database=refusal.code)
    expected = migrating.newest_revision()
    if found != expected:
        return Health(ok=False, database=f"at revision {found}, expected {expected}: tallybook migrate")
    return Health(ok=True, database="ok")

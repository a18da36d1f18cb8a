"""The door to what comes in by webhook: which secrets verify it, of which versions it is."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime

from tallybook.domain.payments.sightings import Sighting
from tallybook.postgres.pool import Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("sightings")
_VERSION_LENGTH_MAX = 200


async def every(tx: Transaction) -> list[Sighting]:
    """When which secret verified events of which version on which path."""
    names = [field.name for field in fields(Sighting)]
    return [Sighting(**{name: row[name] for name in names}) for row in await tx.many(_SQL.every)]


async def announce_drift(tx: Transaction, now: datetime, *, api_version: str, event_id: str) -> bool:
    """Announce that events come in a version that nobody tested; False when it was announced before."""
    version = api_version[:_VERSION_LENGTH_MAX]
    row = await tx.maybe(
        _SQL.announce_drift,
        key=f"stripe:api_version:{version}",
        facts={"api_version": version, "event": event_id},
        now=now,
    )
    if row is None:
        return False
    await tx.run(_SQL.tell)
    return True


async def of_the_other_mode(tx: Transaction, since: datetime) -> int:
    """How many events of the other mode came in since then."""
    row = await tx.one(_SQL.of_the_other_mode, since=since)
    return int(row["events"])

"""The door to organisations and their members."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tallybook.domain.identity.organisations import Member, MemberRole, Organisation
from tallybook.postgres.pool import Row, Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("organisations")


async def add(tx: Transaction, now: datetime, *, name: str) -> int:
    """Make an organisation; gives its number. It has no wallet yet."""
    row = await tx.one(_SQL.add, name=name, now=now)
    return int(row["organisation_id"])


async def put_member(
    tx: Transaction, now: datetime, *, organisation_id: int, user_id: int, role: MemberRole
) -> None:
    """Make a user a member, or change what they are there."""
    tx.changes_callers()
    await tx.run(_SQL.put_member, organisation_id=organisation_id, user_id=user_id, role=role, now=now)


async def one(tx: Transaction, organisation_id: int) -> Organisation | None:
    """An organisation, or None."""
    row = await tx.maybe(_SQL.one, organisation_id=organisation_id)
    if row is None:
        return None
    [found] = await _with_members(tx, [row])
    return found


async def after(tx: Transaction, organisation_id: int, limit: int) -> list[Organisation]:
    """Up to ``limit`` organisations with numbers above ``organisation_id``."""
    return await _with_members(tx, await tx.many(_SQL.after, after=organisation_id, limit=limit))


async def _with_members(tx: Transaction, rows: Sequence[Row]) -> list[Organisation]:
    wanted = [row["organisation_id"] for row in rows]
    members: dict[int, list[Member]] = {number: [] for number in wanted}
    for row in await tx.many(_SQL.members, organisation_ids=wanted):
        member = Member(user_id=row["user_id"], role=MemberRole(row["role"]))
        members[row["organisation_id"]].append(member)
    return [
        Organisation(
            organisation_id=row["organisation_id"],
            name=row["name"],
            wallet_id=row["wallet_id"],
            members=tuple(members[row["organisation_id"]]),
            created_at=row["created_at"],
        )
        for row in rows
    ]

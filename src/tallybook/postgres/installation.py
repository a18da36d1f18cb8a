"""The door to what the database says of itself."""

from __future__ import annotations

from dataclasses import dataclass, fields

from tallybook.postgres.pool import Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("installation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """The server's version and durability, our rights in it, and a few counts."""

    server_version: str
    server_version_num: int
    fsync: bool
    synchronous_commit: bool
    full_page_writes: bool
    may_write_ledger: bool
    admins: int
    dead_events: int
    linked: list[str] | None
    account_id: str | None
    livemode: bool | None


async def revision(tx: Transaction) -> str:
    """The schema revision that the database is at."""
    row = await tx.one(_SQL.revision)
    return str(row["version_num"])


async def condition(tx: Transaction) -> Condition:
    """What the server says of itself and of us."""
    row = await tx.one(_SQL.condition)
    return Condition(**{field.name: row[field.name] for field in fields(Condition)})

"""The door to reconciliations: the lock under which one runs, their cursor, and what they found."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from tallybook.domain.errors import NotFoundError, ReconciliationBusyError
from tallybook.domain.payments.reconciling import (
    Ending,
    Finding,
    FindingStatus,
    Kind,
    KnownFinding,
    Repair,
    Run,
    Severity,
)
from tallybook.postgres.pool import Database, Row, Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("reconciling")


@dataclass(frozen=True, slots=True)
class Cursor:
    """Up to when all of Stripe's events are in the inbox, and all of its objects were compared."""

    events_until: datetime | None
    objects_until: datetime | None


@asynccontextmanager
async def alone(db: Database) -> AsyncIterator[None]:
    """Be the only one who reconciles; the lock belongs to a connection, so a killed process gives it back.

    Raises:
        ReconciliationBusyError: somebody else does.
    """
    line = db.line()
    try:
        async with line.statement() as tx:
            row = await tx.one(_SQL.alone)
        if not row["alone"]:
            raise ReconciliationBusyError
        yield
    finally:
        await line.close()


async def request(
    tx: Transaction,
    now: datetime,
    *,
    applies: bool,
    asked_by: str,
    since: datetime | None,
    until: datetime | None,
) -> Run:
    """Ask for a reconciliation."""
    return _run(
        await tx.one(_SQL.request, now=now, applies=applies, asked_by=asked_by, since=since, until=until)
    )


async def begin(
    tx: Transaction, now: datetime, reconciliation_id: int, *, since: datetime, until: datetime
) -> Run:
    """Begin one, under the lock: what else says that it runs was killed."""
    await tx.run(_SQL.abandon_others, now=now, reconciliation_id=reconciliation_id)
    row = await tx.one(_SQL.begin, now=now, reconciliation_id=reconciliation_id, since=since, until=until)
    return _run(row)


async def end(tx: Transaction, now: datetime, reconciliation_id: int, ending: Ending) -> Run:
    """End one."""
    row = await tx.one(
        _SQL.end,
        now=now,
        reconciliation_id=reconciliation_id,
        status=ending.status,
        events_fetched=ending.events_fetched,
        events_missing=ending.events_missing,
        objects_compared=ending.objects_compared,
        found=ending.found,
        repaired=ending.repaired,
        totals=list(ending.totals),
        error=ending.error,
    )
    return _run(row)


async def one(tx: Transaction, reconciliation_id: int) -> Run:
    """A reconciliation.

    Raises:
        NotFoundError: there is none.
    """
    row = await tx.maybe(_SQL.one, reconciliation_id=reconciliation_id)
    if row is None:
        raise NotFoundError
    return _run(row)


async def newest(tx: Transaction, *, before: int, limit: int) -> list[Run]:
    """The newest reconciliations with a number below ``before``."""
    return [_run(row) for row in await tx.many(_SQL.newest, before=before, limit=limit)]


async def next_requested(tx: Transaction) -> Run | None:
    """What was asked for first and not begun yet."""
    row = await tx.maybe(_SQL.next_requested)
    return None if row is None else _run(row)


async def last_asked(tx: Transaction) -> datetime | None:
    """When a repairing one was last asked for, else since when this database knows its Stripe account."""
    row = await tx.one(_SQL.last_begun)
    at: datetime | None = row["at"]
    return at


async def cursor(tx: Transaction) -> Cursor:
    """How far reconciliations came."""
    row = await tx.maybe(_SQL.cursor)
    return Cursor(None, None) if row is None else Cursor(row["events_until"], row["objects_until"])


async def advance(
    tx: Transaction, *, events_until: datetime | None = None, objects_until: datetime | None = None
) -> None:
    """Move the cursor forward, never back."""
    await tx.run(_SQL.advance, events_until=events_until, objects_until=objects_until)


async def note(tx: Transaction, now: datetime, reconciliation_id: int, finding: Finding) -> KnownFinding:
    """Write a finding down; one that was acknowledged stays so while it says the same."""
    row = await tx.one(
        _SQL.note,
        now=now,
        reconciliation_id=reconciliation_id,
        code=finding.code,
        kind=str(finding.kind),
        object_id=finding.object_id,
        severity=str(finding.severity),
        stripe_customer_id=finding.customer_id,
        user_id=finding.user_id,
        expected=finding.expected,
        found=finding.found,
        repair=finding.repair,
        repair_object=finding.repair_object,
    )
    return _finding(row)


async def gone(tx: Transaction, now: datetime, reconciliation_id: int, object_ids: Collection[str]) -> int:
    """End the open findings about objects that this run compared and found in order; gives how many."""
    rows = await tx.many(_SQL.gone, now=now, reconciliation_id=reconciliation_id, object_ids=list(object_ids))
    return len(rows)


async def mended(tx: Transaction, now: datetime, finding: Finding, *, outcome: str, repaired: bool) -> None:
    """Write down what a repair did."""
    await tx.run(
        _SQL.mended,
        now=now,
        code=finding.code,
        object_id=finding.object_id,
        outcome=outcome,
        repaired=repaired,
    )


async def open_findings(tx: Transaction, *, after: int, limit: int) -> list[KnownFinding]:
    """A page of what is open, oldest first."""
    return [_finding(row) for row in await tx.many(_SQL.open_findings, after=after, limit=limit)]


async def findings(
    tx: Transaction,
    *,
    status: FindingStatus | None,
    code: str | None,
    severity: Severity | None,
    before: int,
    limit: int,
) -> list[KnownFinding]:
    """A page of findings, newest first."""
    rows = await tx.many(
        _SQL.findings, status=status, code=code, severity=severity, before=before, limit=limit
    )
    return [_finding(row) for row in rows]


async def acknowledge(tx: Transaction, now: datetime, finding_id: int, *, reason: str) -> KnownFinding | None:
    """Say that a finding may stay as it is; None when there is none that is open."""
    row = await tx.maybe(_SQL.acknowledge, now=now, finding_id=finding_id, reason=reason)
    return None if row is None else _finding(row)


def _run(row: Row) -> Run:
    return Run(**{name: row[name] for name in Run.__slots__})


_KEPT = ("finding_id", "outcome", "attempts", "reason", "first_seen_at", "last_seen_at", "settled_at")


def _finding(row: Row) -> KnownFinding:
    return KnownFinding(
        **{name: row[name] for name in _KEPT},
        status=FindingStatus(row["status"]),
        finding=Finding(
            code=row["code"],
            kind=Kind(row["kind"]),
            object_id=row["object_id"],
            expected=row["expected"],
            found=row["found"],
            severity=Severity(row["severity"]),
            repair=None if row["repair"] is None else Repair(row["repair"]),
            repair_object=row["repair_object"],
            customer_id=row["stripe_customer_id"],
            user_id=row["user_id"],
        ),
    )

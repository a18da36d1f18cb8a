"""The audit log: every admin act and every act on money, written in the transaction of the act."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from structlog.contextvars import get_contextvars

from tallybook.postgres.pool import Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("audit")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One line of the log."""

    audit_id: int
    at: datetime
    actor_kind: str
    actor_id: str
    action: str
    subject_kind: str
    subject_id: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    request_id: str | None


async def record(
    tx: Transaction,
    now: datetime,
    actor: tuple[str, str],
    action: str,
    subject: tuple[str, str],
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write down who (kind, id) did what to whom (kind, id), and what was and is.

    Values are JSON; never a password, a key or a token. The request id, and the Stripe event that is being settled,
    come from the log context.
    """
    bound = get_contextvars()
    await tx.run(
        _SQL.record,
        now=now,
        actor_kind=actor[0],
        actor_id=actor[1],
        action=action,
        subject_kind=subject[0],
        subject_id=subject[1],
        before=None if before is None else dict(before),
        after=None if after is None else dict(after),
        request_id=bound.get("request_id"),
        event_id=bound.get("event_id"),
    )


async def of_subject(tx: Transaction, subject: tuple[str, str]) -> list[AuditEntry]:
    """What was done to a subject, oldest first."""
    rows = await tx.many(_SQL.of_subject, subject_kind=subject[0], subject_id=subject[1])
    return [AuditEntry(**dict(row)) for row in rows]

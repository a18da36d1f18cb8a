"""Reconciliations as admins see them: ask for one, look at the last ones and at what they found, acknowledge that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta

from tallybook.domain.errors import InvalidRequestError, NotFoundError
from tallybook.domain.identity.callers import Caller
from tallybook.domain.payments.reconciling import (
    Ending,
    Finding,
    FindingStatus,
    KnownFinding,
    Run,
    Severity,
    Window,
)
from tallybook.postgres import audit, reconciling
from tallybook.usecases.context import Context

EVENTS_KEPT = timedelta(days=30)
"""As long as Stripe lists its events: https://docs.stripe.com/api/events."""

OVERLAP = timedelta(days=1)
"""How far each run looks behind where the last one ended: what was made late there is found."""

GRACE = timedelta(minutes=5)
"""What is younger is left alone: its webhook is still on the way."""

REASON_LENGTH_MAX = 500
NEWEST = 2**62
_PAGE = 200


async def request(
    ctx: Context,
    caller: Caller,
    *,
    applies: bool,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Run:
    """Ask for a reconciliation, which a worker then runs; without times, from where the last one ended.

    Raises:
        AdminRequiredError: the caller is none. InvalidRequestError: it would end before it begins.
    """
    caller.require_admin()
    if since is not None and until is not None and since >= until:
        raise InvalidRequestError("since must be before until.")
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        actor = " ".join(caller.actor)
        run = await reconciling.request(tx, now, applies=applies, asked_by=actor, since=since, until=until)
        subject = ("reconciliation", str(run.reconciliation_id))
        await audit.record(
            tx, now, caller.actor, "reconciliation.requested", subject, after={"applies": applies}
        )
    return run


def alone(ctx: Context) -> AbstractAsyncContextManager[None]:
    """Be the only one who reconciles, for as long as the block runs.

    Raises:
        ReconciliationBusyError: somebody else does.
    """
    return reconciling.alone(ctx.db)


async def begin(ctx: Context, run: Run, *, grace: timedelta = GRACE) -> tuple[Run, Window]:
    """Begin what was asked for, under the lock; gives the time in which objects are compared."""
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        until = run.until or now - grace
        at = (await reconciling.cursor(tx)).objects_until
        since = run.since or (until - EVENTS_KEPT if at is None else min(at, until) - OVERLAP)
        begun = await reconciling.begin(tx, now, run.reconciliation_id, since=since, until=until)
    return begun, Window(since, until)


async def note(ctx: Context, run: Run, findings: list[Finding], agreeing: list[str]) -> None:
    """Write down what was found, and that open findings about objects that agree now are gone."""
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        for finding in findings:
            await reconciling.note(tx, now, run.reconciliation_id, finding)
        if agreeing:
            await reconciling.gone(tx, now, run.reconciliation_id, agreeing)


async def mended(ctx: Context, finding: Finding, *, outcome: str, repaired: bool) -> None:
    """Write down what a repair did."""
    async with ctx.db.transaction() as tx:
        await reconciling.mended(tx, ctx.clock(), finding, outcome=outcome[:1000], repaired=repaired)


async def end(ctx: Context, run: Run, ending: Ending, *, compared_until: datetime | None = None) -> Run:
    """End a run; ``compared_until`` moves the cursor, if it compared all from there."""
    async with ctx.db.transaction() as tx:
        if compared_until is not None:
            await reconciling.advance(tx, objects_until=compared_until)
        return await reconciling.end(tx, ctx.clock(), run.reconciliation_id, ending)


async def everything_open(ctx: Context) -> AsyncIterator[KnownFinding]:
    """What is open, oldest first; what is settled meanwhile may still come."""
    after = 0
    while True:
        async with ctx.db.snapshot() as tx:
            page = await reconciling.open_findings(tx, after=after, limit=_PAGE)
        for found in page:
            yield found
        if len(page) < _PAGE:
            return
        after = page[-1].finding_id


async def next_requested(ctx: Context) -> Run | None:
    """What somebody asked for and nobody has begun."""
    async with ctx.db.snapshot() as tx:
        return await reconciling.next_requested(tx)


async def due(ctx: Context) -> bool:
    """Whether the nightly one is due: its time of day has come since the last repairing one was asked for."""
    if ctx.reconcile_at is None or ctx.stripe is None:
        return False
    async with ctx.db.snapshot() as tx:
        last = await reconciling.last_asked(tx)
    now = ctx.clock()
    at = now.replace(hour=ctx.reconcile_at.hour, minute=ctx.reconcile_at.minute, second=0, microsecond=0)
    at = at if at <= now else at - timedelta(days=1)
    return last is not None and last < at


async def newest(ctx: Context, caller: Caller, *, before: int = NEWEST, limit: int) -> list[Run]:
    """The newest reconciliations, for an admin."""
    caller.require_admin()
    async with ctx.db.snapshot() as tx:
        return await reconciling.newest(tx, before=before, limit=limit)


async def get(ctx: Context, caller: Caller, reconciliation_id: int) -> Run:
    """One reconciliation, for an admin.

    Raises:
        NotFoundError: there is none.
    """
    caller.require_admin()
    async with ctx.db.snapshot() as tx:
        return await reconciling.one(tx, reconciliation_id)


async def findings(
    ctx: Context,
    caller: Caller,
    *,
    status: FindingStatus | None = FindingStatus.OPEN,
    code: str | None = None,
    severity: Severity | None = None,
    before: int = NEWEST,
    limit: int,
) -> list[KnownFinding]:
    """A page of findings, newest first, for an admin; by default what is open."""
    caller.require_admin()
    async with ctx.db.snapshot() as tx:
        return await reconciling.findings(
            tx, status=status, code=code, severity=severity, before=before, limit=limit
        )


async def acknowledge(ctx: Context, caller: Caller, finding_id: int, *, reason: str) -> KnownFinding:
    """Say that a finding may stay as it is; it is opened again when what differs changes.

    Raises:
        InvalidRequestError: no reason is given. NotFoundError: there is none that is open.
    """
    caller.require_admin()
    reason = reason.strip()
    if not reason or len(reason) > REASON_LENGTH_MAX or not reason.isprintable():
        raise InvalidRequestError(f"Say why, in one line of at most {REASON_LENGTH_MAX} characters.")
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        found = await reconciling.acknowledge(tx, now, finding_id, reason=reason)
        if found is None:
            raise NotFoundError
        subject = ("finding", str(finding_id))
        after = {"reason": reason, "code": found.finding.code, "object": found.finding.object_id}
        await audit.record(tx, now, caller.actor, "finding.acknowledged", subject, after=after)
    return found

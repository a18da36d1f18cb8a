"""Reconciliations at a till: what the tests of them share."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from payments.desk import OPERATOR, Till
from tallybook.domain.payments.reconciling import FindingStatus, Run
from tallybook.usecases.reconciling import runs
from tallybook.worker.reconciling import reconcile


async def reconciled(till: Till, *, applies: bool = True, **times: Any) -> Run:
    """One reconciliation, of what was made until this very second too."""
    asked = await runs.request(till.ctx, OPERATOR, applies=applies, **times)
    return await reconcile(till.ctx, asked, grace=timedelta(seconds=-5))


async def found(till: Till, status: FindingStatus | None = FindingStatus.OPEN) -> list[tuple[str, str]]:
    """Code and object of the findings, oldest first."""
    page = await runs.findings(till.ctx, OPERATOR, status=status, limit=1000)
    return [(one.finding.code, one.finding.object_id) for one in reversed(page)]


async def done(till: Till) -> None:
    """Wait until the one reconciliation that was asked for is done."""
    while True:
        [run] = await runs.newest(till.ctx, OPERATOR, limit=10)
        if run.status == "done":
            return
        await asyncio.sleep(0.05)


def lose_events(till: Till) -> None:
    """As if Stripe's events so far had been taken in and forgotten: only the objects are left to be compared."""
    for event in till.stripe_get("/v1/events", limit=100)["data"]:
        till.ask(
            "INSERT INTO tallybook.stripe_events (event_id, type, livemode, stripe_created, intake_path, raw,"
            " received_at, status, outcome, next_attempt_at)"
            " VALUES (%s, %s, false, now(), 'stripe', '', now(), 'ignored', 'lost', now()) ON CONFLICT DO NOTHING",
            event["id"],
            event["type"],
        )

"""Reconciliations as such: one at a time, gone on with after a kill, asked for, nightly; findings that stay or go."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from payments.desk import OPERATOR, Till
from payments.money import bought
from payments.reconciled import done, found, lose_events, reconciled
from tallybook.domain.errors import (
    AdminRequiredError,
    InvalidRequestError,
    NotFoundError,
    ReconciliationBusyError,
)
from tallybook.domain.payments.reconciling import FindingStatus
from tallybook.usecases import fulfilment
from tallybook.usecases.reconciling import runs
from tallybook.worker.main import run_worker, work_off
from tallybook.worker.reconciling import reconcile

pytestmark = pytest.mark.timeout(180)


async def test_a_finding_is_acknowledged_with_a_reason_until_it_says_something_else(shop: Till) -> None:
    await bought(shop)
    shop.ask("UPDATE tallybook.payments SET paid_minor = paid_minor + 1")
    await reconciled(shop)
    page = await runs.findings(shop.ctx, OPERATOR, limit=10)
    for one in page:
        await runs.acknowledge(shop.ctx, OPERATOR, one.finding_id, reason="  a gift ")

    quiet = await reconciled(shop)
    shop.ask("UPDATE tallybook.payments SET paid_minor = paid_minor + 1")
    loud = await reconciled(shop)

    assert (quiet.differences, loud.differences) == (0, len(page))
    for reason in ("", " ", "x" * 501, "two\nlines"):
        with pytest.raises(InvalidRequestError):
            await runs.acknowledge(shop.ctx, OPERATOR, page[0].finding_id, reason=reason)
    with pytest.raises(NotFoundError):
        await runs.acknowledge(shop.ctx, OPERATOR, 999_999, reason="why not")


async def test_a_difference_that_was_mended_elsewhere_is_gone(shop: Till) -> None:
    checkout = await shop.open()
    shop.pay(checkout)
    lose_events(shop)
    await reconciled(shop, applies=False)

    await fulfilment.return_from_checkout(shop.ctx, shop.caller, str(checkout.stripe_session_id))
    run = await reconciled(shop, applies=False)

    assert run.differences == 0
    assert await found(shop, FindingStatus.GONE) == [("paid_not_granted", str(checkout.stripe_session_id))]


async def test_one_runs_at_a_time(shop: Till) -> None:
    async with runs.alone(shop.ctx):
        with pytest.raises(ReconciliationBusyError):
            await reconciled(shop)

    assert (await reconciled(shop)).status == "done"


async def test_whoever_goes_on_after_a_kill_in_the_middle_grants_what_is_left_and_nothing_twice(
    shop: Till,
) -> None:
    checkouts = [await shop.open(), await shop.open()]
    for checkout in checkouts:
        shop.pay(checkout)
    lose_events(shop)
    asked = await runs.request(shop.ctx, OPERATOR, applies=True)

    def killed(what: str, _: int) -> None:
        if what == "Repairs":
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await reconcile(shop.ctx, asked, grace=timedelta(seconds=-5), progress=killed)
    half = shop.grants()
    left = (await runs.get(shop.ctx, OPERATOR, asked.reconciliation_id)).status
    run = await reconciled(shop)

    assert (half, left) == (1, "running")
    assert (shop.grants(), shop.credits(), run.differences) == (2, 2000, 0)
    assert (await runs.get(shop.ctx, OPERATOR, asked.reconciliation_id)).status == "interrupted"


async def test_events_are_looked_through_day_by_day_and_the_cursor_never_goes_back(shop: Till) -> None:
    first = await reconciled(shop)
    [[until]] = shop.ask("SELECT events_until FROM tallybook.reconciliation_cursor")
    shop.ask("UPDATE tallybook.reconciliation_cursor SET events_until = now() - interval '2 days 1 hour'")
    checkout = await shop.open()
    shop.pay(checkout)

    second = await reconciled(shop)

    assert first.until is not None
    assert abs(until - first.until) < timedelta(seconds=1)
    assert second.events_missing > 0
    assert shop.credits() == 1000
    [[now]] = shop.ask("SELECT events_until FROM tallybook.reconciliation_cursor")
    assert now > until


async def test_the_worker_runs_what_was_asked_for_and_each_night_one_of_its_own(shop: Till) -> None:
    checkout = await shop.open()
    shop.pay(checkout)
    await runs.request(shop.ctx, OPERATOR, applies=True, until=datetime.now(UTC) + timedelta(seconds=5))
    stop = asyncio.Event()
    task = asyncio.create_task(run_worker(shop.ctx, stop))
    try:
        async with asyncio.timeout(60):
            await done(shop)
    finally:
        stop.set()
        await task
    await work_off(shop.ctx)

    assert shop.credits() == 1000
    now = datetime(2027, 1, 2, 3, 31, tzinfo=UTC)
    nightly = replace(shop.ctx, reconcile_at=time(3, 30), clock=lambda: now)
    assert await runs.due(nightly)
    shop.ask("UPDATE tallybook.reconciliations SET requested_at = '2027-01-02 03:30:30+00'")
    assert not await runs.due(nightly)
    assert not await runs.due(shop.ctx)


async def test_customers_may_do_none_of_it(bare_till: Till) -> None:
    ctx, customer = bare_till.ctx, bare_till.caller

    for asking in (
        runs.request(ctx, customer, applies=False),
        runs.newest(ctx, customer, limit=1),
        runs.get(ctx, customer, 1),
        runs.findings(ctx, customer, limit=1),
        runs.acknowledge(ctx, customer, 1, reason="why not"),
    ):
        with pytest.raises(AdminRequiredError):
            await asking

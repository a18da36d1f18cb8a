"""The reconciler against a real sandbox: what never came is made up for, objects are held against the books."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from payments.desk import OPERATOR, Till
from payments.money import balances, books, bought, dispute, intent_of, refund
from payments.subscriber import Subscriber
from tallybook.domain.errors import (
    AdminRequiredError,
    InvalidRequestError,
    NotFoundError,
    ReconciliationBusyError,
)
from tallybook.domain.payments.reconciling import FindingStatus, Run
from tallybook.usecases import catalog, fulfilment
from tallybook.usecases.reconciling import runs
from tallybook.worker.main import run_worker, work_off
from tallybook.worker.reconciling import reconcile

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def shop(bare_till: Till) -> Till:
    """A till whose catalogue is at a Stripe of its own: nobody else's objects are found there."""
    await catalog.push(bare_till.ctx, OPERATOR, dry_run=False, progress=lambda _: None)
    return bare_till


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


async def test_webhooks_that_never_came_are_made_up_for_by_the_same_handlers(shop: Till) -> None:
    """Pitfall 23: a webhook that is missed is not a customer who paid for nothing."""
    checkout = await shop.open()
    shop.pay(checkout)

    dry = await reconciled(shop, applies=False)
    before = (shop.credits(), shop.inbox())
    run = await reconciled(shop)
    again = await reconciled(shop)

    assert dry.events_missing == run.events_missing > 0
    assert before == (0, [])
    assert (shop.credits(), shop.grants()) == (1000, 1)
    stored = shop.ask("SELECT DISTINCT intake_path, verified_by, status FROM tallybook.stripe_events")
    assert stored == [("fetched", [], "done")]
    assert (again.events_missing, again.found, again.differences) == (0, 0, 0)
    assert shop.grants() == 1


async def test_a_webhook_that_comes_after_it_was_fetched_is_the_same_event(shop: Till) -> None:
    checkout = await shop.open()
    shop.pay(checkout)
    await reconciled(shop)
    stored = len(shop.inbox())

    await shop.deliver_all(checkout)

    [[deliveries]] = shop.ask(
        "SELECT deliveries FROM tallybook.stripe_events WHERE type = 'checkout.session.completed'"
    )
    assert deliveries == 2
    assert shop.grants() == 1
    assert len(shop.inbox()) >= stored


async def test_a_payment_without_any_event_is_found_and_granted_once(shop: Till) -> None:
    checkout = await shop.open()
    shop.pay(checkout)
    lose_events(shop)

    dry = await reconciled(shop, applies=False)
    shown = await found(shop)
    untouched = shop.credits()
    run = await reconciled(shop)
    again = await reconciled(shop)

    assert shown == [("paid_not_granted", checkout.stripe_session_id)]
    assert (dry.differences, dry.repaired, untouched) == (1, 0, 0)
    assert (run.differences, run.repaired) == (0, 1)
    assert (shop.credits(), shop.grants()) == (1000, 1)
    assert (again.found, again.differences) == (0, 0)
    [row] = await runs.findings(shop.ctx, OPERATOR, status=FindingStatus.REPAIRED, limit=10)
    assert (row.outcome, row.attempts) == ("granted", 1)
    [day] = again.totals
    assert (day["charged"], day["booked"], day["elsewhere"]) == (
        checkout.price.minor,
        checkout.price.minor,
        0,
    )


async def test_a_refund_without_any_event_is_taken_back_once(shop: Till) -> None:
    checkout = await bought(shop)
    refund(shop, checkout, amount=str(checkout.price.minor // 2))
    lose_events(shop)

    await reconciled(shop, applies=False)
    shown = await found(shop)
    untouched = shop.credits()
    run = await reconciled(shop)
    again = await reconciled(shop)

    assert shown == [("refund_not_taken_back", intent_of(shop, checkout))]
    assert untouched == 1000
    assert (run.repaired, run.differences, again.found) == (1, 0, 0)
    assert shop.credits() == 500


async def test_a_refund_that_failed_long_after_is_restored_though_it_was_made_before_the_window(
    shop: Till,
) -> None:
    checkout = await bought(shop)
    made = refund(shop, checkout)
    await shop.deliver_all(checkout)
    shop.ask("UPDATE tallybook.refunds SET status = 'pending'")
    shop.sandbox.control(f"refunds/{made['id']}/settle", outcome="fail")
    lose_events(shop)
    later = datetime.now(UTC) + timedelta(minutes=1)

    run = await reconciled(shop, since=later, until=later + timedelta(minutes=1))

    assert await found(shop, FindingStatus.REPAIRED) == [("refund_not_restored", intent_of(shop, checkout))]
    assert (run.differences, shop.credits()) == (0, 1000)


async def test_a_dispute_is_taken_back_and_when_it_is_won_restored(shop: Till) -> None:
    checkout = await bought(shop)
    disputed = dispute(shop, checkout)
    lose_events(shop)

    await reconciled(shop)
    opened = balances(shop)
    shop.sandbox.control(f"disputes/{disputed}/win")
    lose_events(shop)
    run = await reconciled(shop)

    assert opened == (0, 0, 0)
    assert balances(shop) == (1000, 0, 0)
    assert books(shop) == [(0, 0, 0, 0)]
    assert run.differences == 0
    codes = [code for code, _ in await found(shop, FindingStatus.REPAIRED)]
    assert sorted(codes) == ["dispute_not_restored", "dispute_not_taken_back"]


async def test_a_plan_that_was_subscribed_to_and_paid_without_any_event_is_found(shop: Till) -> None:
    subscriber = Subscriber(shop)
    opened = await subscriber.open()
    shop.pay(opened.checkout)
    lose_events(shop)

    run = await reconciled(shop)
    again = await reconciled(shop)
    subscription = await subscriber.subscription()

    assert str(subscription.status) == "active"
    assert shop.grants() == 1
    assert run.differences == again.found == 0


async def test_a_canceled_subscription_is_followed_and_never_comes_to_life_again(shop: Till) -> None:
    """Pitfall 13: what is final in our books stays so, whatever is repaired."""
    subscriber = Subscriber(shop)
    one = await subscriber.subscribe()
    shop.sandbox.http().delete(f"/v1/subscriptions/{one.stripe_subscription_id}")
    lose_events(shop)
    await reconciled(shop)
    followed = str((await subscriber.subscription()).status)
    shop.ask("UPDATE tallybook.subscriptions SET status = 'active'")
    await reconciled(shop)
    mended = str((await subscriber.subscription()).status)

    fresh = await subscriber.subscribe()
    shop.ask(
        "UPDATE tallybook.subscriptions SET status = 'canceled', holds_family = false"
        " WHERE stripe_subscription_id = %s",
        fresh.stripe_subscription_id,
    )
    run = await reconciled(shop)

    assert (followed, mended) == ("canceled", "canceled")
    assert str((await subscriber.subscription()).status) == "canceled"
    assert run.differences == 1
    assert await found(shop) == [("subscription_state_differs", str(fresh.stripe_subscription_id))]


async def test_what_is_granted_and_not_paid_is_told_and_not_repaired(shop: Till) -> None:
    checkout = await bought(shop)
    other = await shop.open()
    shop.ask(
        "UPDATE tallybook.checkouts SET status = 'paid', payment_status = 'paid', granted_version = 1"
        " WHERE checkout_id = %s",
        other.checkout_id,
    )
    shop.ask("UPDATE tallybook.payments SET paid_minor = paid_minor + 1")

    run = await reconciled(shop)

    assert (run.differences, run.repaired) == (3, 0)
    assert set(await found(shop)) == {
        ("amount_differs", str(checkout.stripe_session_id)),
        ("granted_not_paid", str(other.stripe_session_id)),
        ("daily_total_differs", f"{datetime.now(UTC).date().isoformat()} usd"),
    }


async def test_what_others_sell_on_the_account_is_a_notice_and_no_difference(shop: Till) -> None:
    shop.stripe_post(
        "/v1/payment_intents", amount=500, currency="usd", confirm="true", payment_method="pm_card_visa"
    )

    run = await reconciled(shop)

    assert (run.differences, run.notices, shop.grants()) == (0, 1, 0)
    [(code, _)] = await found(shop)
    assert code == "foreign_object"
    [day] = run.totals
    assert (day["charged"], day["elsewhere"]) == (0, 500)


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

"""The reconciler against a real sandbox: what never came is made up for, objects are held against the books."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from payments.desk import OPERATOR, Till
from payments.form_filler import open_form, pay
from payments.money import balances, books, bought, dispute, intent_of, refund
from payments.reconciled import found, lose_events, reconciled
from payments.subscriber import FAILS_LATER, START, Subscriber, utc
from tallybook.domain.payments.reconciling import FindingStatus
from tallybook.usecases.reconciling import runs

pytestmark = pytest.mark.timeout(180)


async def test_pitfall_23_webhooks_that_never_came_are_made_up_for_by_the_same_handlers(shop: Till) -> None:
    """A webhook that is missed is not a customer who paid for nothing."""
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


async def test_pitfall_23_a_payment_without_any_event_is_found_and_granted_once(shop: Till) -> None:
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


async def test_pitfall_23_a_dispute_is_taken_back_and_when_it_is_won_restored(shop: Till) -> None:
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


async def test_an_invoice_that_was_paid_days_after_it_was_made_is_found_and_granted_once(shop: Till) -> None:
    ada = Subscriber(shop)
    ada.live_on_a_test_clock(START)
    one = await ada.subscribe()
    ada.pay_with(one, FAILS_LATER)
    ada.advance(utc(2027, 2, 2))
    await ada.hear()
    due = await ada.subscription()
    ada.pay_with(one, "pm_card_visa")
    ada.till.stripe_post(f"/v1/invoices/{due.latest_invoice_id}/pay")
    ada.now = utc(2027, 2, 10)
    lose_events(ada.till)
    times: dict[str, Any] = {"since": utc(2027, 2, 8), "until": utc(2027, 2, 9)}

    dry = await reconciled(ada.till, applies=False, **times)
    shown = await found(ada.till)
    untouched = shop.credits()
    run = await reconciled(ada.till, **times)
    again = await reconciled(ada.till, **times)

    assert str(due.status) == "past_due"
    assert shown == [
        ("paid_not_granted", due.latest_invoice_id),
        ("subscription_state_differs", one.stripe_subscription_id),
    ]
    assert (dry.differences, untouched) == (2, 100)
    assert (run.differences, run.repaired, again.found) == (0, 2, 0)
    assert (shop.credits(), shop.grants()) == (200, 2)
    assert str((await ada.subscription()).status) == "active"


async def test_mending_a_subscription_settles_its_newest_invoice_though_nobody_heard_of_it(
    shop: Till,
) -> None:
    ada = Subscriber(shop)
    ada.live_on_a_test_clock(START)
    one = await ada.subscribe()
    ada.advance(utc(2027, 2, 2))
    ada.now = utc(2027, 2, 10)
    lose_events(ada.till)
    times: dict[str, Any] = {"since": utc(2027, 2, 8), "until": utc(2027, 2, 9)}

    run = await reconciled(ada.till, **times)
    again = await reconciled(ada.till, **times)

    assert await found(ada.till, FindingStatus.REPAIRED) == [
        ("subscription_state_differs", one.stripe_subscription_id)
    ]
    assert (run.differences, again.found) == (0, 0)
    assert (shop.credits(), shop.grants()) == (200, 2)


async def test_pitfall_13_a_canceled_subscription_is_followed_and_never_comes_to_life_again(
    shop: Till,
) -> None:
    """What is final in our books stays so, whatever is repaired."""
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
    [left] = await runs.findings(shop.ctx, OPERATOR, limit=10)
    assert left.finding.object_id == fresh.stripe_subscription_id
    assert (left.finding.code, left.finding.repair) == ("subscription_state_differs", None)


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


async def test_a_payment_at_the_form_that_nobody_heard_of_is_granted_once(shop: Till) -> None:
    form = await open_form(shop)
    pay(shop, form)
    lose_events(shop)

    run = await reconciled(shop)
    again = await reconciled(shop)

    assert (run.repaired, run.differences, again.found) == (1, 0, 0)
    assert (shop.credits(), shop.grants()) == (100, 1)
    assert shop.ask("SELECT source, reference FROM tallybook.payments") == [
        ("payment_form", form.intent.stripe_id)
    ]

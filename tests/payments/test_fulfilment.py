"""From a paid session to credits: once, whatever events come, how often and in which order."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta

import pytest
from sandbox.process import KEY

from payments.desk import Till, add_user, system_clock
from tallybook.domain.errors import CheckoutNotFoundError, FulfilmentBusyError
from tallybook.domain.identity.callers import Caller
from tallybook.domain.payments.reports import SessionReport
from tallybook.stripe.gateway import PINNED_API_VERSION, StripeGateway
from tallybook.usecases import events, fulfilment
from tallybook.worker.main import settle, work_off

pytestmark = pytest.mark.timeout(90)


async def test_a_paid_checkout_brings_its_credits(till: Till) -> None:
    checkout = await till.open("package_starter")
    till.pay(checkout)

    await till.deliver_all(checkout)

    assert till.credits() == 1000
    assert await till.status(checkout) == "paid"
    assert till.grants() == 1


async def test_the_quantity_multiplies_credits_and_money(till: Till) -> None:
    checkout = await till.open("pack_250", quantity=3)
    till.pay(checkout)

    await till.deliver_all(checkout)

    assert till.credits() == 750
    [[price_minor, paid_minor]] = till.ask(
        "SELECT lots.price_minor, checkouts.paid_minor FROM tallybook.lots, tallybook.checkouts"
    )
    assert (price_minor, paid_minor) == (6000, 6000)


async def test_a_grant_is_in_the_audit_log_with_its_transfer(till: Till) -> None:
    checkout = await till.open()
    till.pay(checkout)

    await till.deliver_all(checkout)

    [[action, subject, after]] = till.ask(
        "SELECT action, subject_id, after FROM tallybook.audit_log WHERE action ^@ 'checkout'"
    )
    assert (action, subject) == ("checkout.granted", str(checkout.checkout_id))
    assert after["transfer"] == f"trf_{checkout.wallet_id}_1"


async def test_a_declined_card_changes_nothing(till: Till) -> None:
    checkout = await till.open()
    till.pay(checkout, card="4000000000000002")

    await till.deliver_all(checkout)

    assert till.credits() == 0
    assert await till.status(checkout) == "open"
    assert ("payment_intent.payment_failed", "done", "not_paid") in till.inbox()


async def test_a_session_that_costs_nothing_grants_without_a_payment(till: Till) -> None:
    price = till.stripe_get("/v1/prices", **{"lookup_keys[]": "pack_100"})["data"][0]
    free = till.stripe_post("/v1/prices", product=price["product"], unit_amount=0, currency="usd")
    gift = till.but(catalog=till.ctx.catalog.with_prices({"pack_100": free["id"]}))
    checkout = await gift.open("pack_100")
    till.pay(checkout)

    await till.deliver_all(checkout)

    assert till.credits() == 100
    assert ("checkout.session.completed", "done", "granted") in till.inbox()


async def test_pitfall_07_a_delayed_payment_grants_when_it_succeeds_and_not_before(till: Till) -> None:
    checkout = await till.open()
    till.pay(checkout, method="bank")
    await till.deliver_all(checkout)
    waiting = (till.credits(), await till.status(checkout))

    till.sandbox.control(f"checkout/sessions/{checkout.stripe_session_id}/settle", outcome="succeed")
    await till.deliver_all(checkout)

    assert waiting == (0, "processing")
    assert till.credits() == 1000
    assert till.grants() == 1


async def test_a_delayed_payment_that_fails_never_grants(till: Till) -> None:
    checkout = await till.open()
    till.pay(checkout, method="bank")
    till.sandbox.control(f"checkout/sessions/{checkout.stripe_session_id}/settle", outcome="fail")

    await till.deliver_all(checkout)

    assert till.credits() == 0
    assert await till.status(checkout) == "failed"


async def test_an_expired_session_is_written_down(till: Till) -> None:
    checkout = await till.open()
    till.stripe_post(f"/v1/checkout/sessions/{checkout.stripe_session_id}/expire")

    await till.deliver_all(checkout)

    assert await till.status(checkout) == "expired"
    assert till.credits() == 0


async def test_three_events_of_one_payment_grant_once_in_every_order(till: Till) -> None:
    kinds = ("charge.succeeded", "payment_intent.succeeded", "checkout.session.completed")
    for done, order in enumerate(itertools.permutations(kinds), 1):
        checkout = await till.open("pack_100")
        till.pay(checkout)
        by_kind = {event["type"]: event for event in till.events(checkout)}

        for kind in order:
            await till.deliver(by_kind[kind])
            await work_off(till.ctx)

        assert till.credits() == 100 * done, order
        assert till.grants() == done, order


async def test_pitfall_01_the_same_webhook_fifty_times_at_once_grants_once(till: Till) -> None:
    checkout = await till.open()
    till.pay(checkout)
    [completed] = [e for e in till.events(checkout) if e["type"] == "checkout.session.completed"]

    async def deliver_and_work() -> None:
        await till.deliver(completed)
        await work_off(till.ctx)

    await asyncio.gather(*(deliver_and_work() for _ in range(50)))

    assert till.credits() == 1000
    assert till.grants() == 1
    assert till.ask("SELECT deliveries, status FROM tallybook.stripe_events") == [(50, "done")]


async def test_pitfall_02_events_and_return_pages_at_once_grant_once(till: Till) -> None:
    checkout = await till.open()
    till.pay(checkout)
    for event in till.events(checkout):
        await till.deliver(event)
    assert checkout.stripe_session_id is not None

    await asyncio.gather(
        *(work_off(till.ctx) for _ in range(4)),
        *(
            fulfilment.return_from_checkout(till.ctx, till.caller, checkout.stripe_session_id)
            for _ in range(4)
        ),
    )

    assert till.credits() == 1000
    assert till.grants() == 1


async def test_the_return_page_grants_before_the_webhook_comes(till: Till) -> None:
    checkout = await till.open()
    till.pay(checkout)
    assert checkout.stripe_session_id is not None

    settled = await fulfilment.return_from_checkout(till.ctx, till.caller, checkout.stripe_session_id)
    at_return = till.credits()
    await till.deliver_all(checkout)

    assert (settled.outcome, at_return) == ("granted", 1000)
    assert till.credits() == 1000
    assert ("checkout.session.completed", "done", "already_granted") in till.inbox()


async def test_a_paid_checkout_is_shown_from_our_books_without_stripe_and_without_a_lease(till: Till) -> None:
    checkout = await till.open()
    till.pay(checkout)
    session_id = checkout.stripe_session_id or ""
    first = await fulfilment.return_from_checkout(till.ctx, till.caller, session_id)
    till.ask("UPDATE tallybook.customer_fences SET leased_until = now() + '1 hour'")
    nowhere = till.but(stripe=None)

    again = await asyncio.wait_for(fulfilment.return_from_checkout(nowhere.ctx, till.caller, session_id), 2)

    assert again.outcome == "already_granted"
    assert again.report == first.report
    assert again.report is not None
    assert (again.report.status, again.report.payment_status) == ("complete", "paid")
    assert (again.report.amount_total, again.report.currency) == (1000, "usd")
    assert again.report.metadata["user_id"] == str(till.user_id)
    assert again.checkout is not None
    assert again.checkout.granted_version == 1


async def test_pitfall_08_coming_back_without_having_paid_brings_nothing(till: Till) -> None:
    checkout = await till.open()
    session_id = checkout.stripe_session_id or ""

    early = await fulfilment.return_from_checkout(till.ctx, till.caller, session_id)
    till.pay(checkout, card="4000000000000002")
    declined = await fulfilment.return_from_checkout(till.ctx, till.caller, session_id)

    assert (early.outcome, declined.outcome) == ("not_paid", "not_paid")
    assert (till.grants(), await till.status(checkout)) == (0, "open")


async def test_the_return_page_of_another_user_is_not_found(till: Till) -> None:
    checkout = await till.open()
    till.pay(checkout)
    stranger = Caller(user_id=add_user(till.database, "eve@example.com"))
    assert checkout.stripe_session_id is not None

    with pytest.raises(CheckoutNotFoundError):
        await fulfilment.return_from_checkout(till.ctx, stranger, checkout.stripe_session_id)

    assert till.grants() == 0


async def test_pitfall_03_an_event_whose_worker_died_is_taken_over(till: Till) -> None:
    checkout = await till.open()
    till.pay(checkout)
    [completed] = [e for e in till.events(checkout) if e["type"] == "checkout.session.completed"]
    await till.deliver(completed)
    died = await events.claim(till.ctx)
    assert died is not None

    await till.deliver(completed)
    while_leased = await work_off(till.ctx)
    later = till.but(clock=lambda: system_clock() + timedelta(minutes=4))
    after_the_lease = await work_off(later.ctx)

    assert (while_leased, after_the_lease) == (0, 1)
    assert till.credits() == 1000
    with pytest.raises(FulfilmentBusyError):
        await fulfilment.settle_checkout(later.ctx, checkout.stripe_session_id or "", lease=died.lease)


async def test_a_worker_that_lost_its_lease_has_no_effect(till: Till) -> None:
    checkout = await till.open()
    till.pay(checkout)
    [completed] = [e for e in till.events(checkout) if e["type"] == "checkout.session.completed"]
    await till.deliver(completed)
    slow = await events.claim(till.ctx)
    assert slow is not None
    till.ask("UPDATE tallybook.stripe_events SET lease_id = gen_random_uuid()")

    await settle(till.ctx, slow)

    assert till.grants() == 0
    assert await till.status(checkout) == "open"


class ThievedGateway(StripeGateway):
    """While it asks Stripe, somebody else takes the customer's lease over."""

    till: Till

    async def session(self, session_id: str) -> SessionReport | None:
        """Ask, and lose the lease meanwhile."""
        self.till.ask("UPDATE tallybook.customer_fences SET fence = fence + 1")
        return await super().session(session_id)


async def test_a_handler_that_lost_its_fence_has_no_effect(till: Till) -> None:
    checkout = await till.open()
    till.pay(checkout)
    thieved = ThievedGateway(KEY, api_base=till.sandbox.base_url, api_version=PINNED_API_VERSION)
    thieved.till = till

    with pytest.raises(FulfilmentBusyError):
        await fulfilment.settle_checkout(till.but(stripe=thieved).ctx, checkout.stripe_session_id or "")
    await thieved.close()

    assert till.grants() == 0
    assert await till.status(checkout) == "open"

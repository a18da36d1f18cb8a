"""Money of an invoice that goes back: the plan's credits of that period go with it."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import pytest

from payments.desk import OPERATOR, Till
from payments.money import balances
from payments.subscriber import START, Subscriber, utc
from tallybook.domain.money import Credits
from tallybook.domain.payments.subscriptions import Subscription
from tallybook.usecases import money_back, payments, wallets
from tallybook.usecases.subscriptions import settling
from tallybook.worker.main import work_off

pytestmark = pytest.mark.timeout(120)


def intent_of(till: Till) -> str:
    """The payment intent of the customer's only charge."""
    customer = till.ask("SELECT stripe_customer_id FROM tallybook.stripe_customers")[0][0]
    [charge] = till.stripe_get("/v1/charges", customer=customer)["data"]
    return str(charge["payment_intent"])


async def test_a_refund_of_an_invoice_takes_its_part_of_the_plans_credits(till: Till) -> None:
    person = Subscriber(till)
    await person.subscribe()
    [[paid, brought]] = till.ask("SELECT paid_minor, credits_micro FROM tallybook.payments")

    till.stripe_post("/v1/refunds", payment_intent=intent_of(till), amount=str(paid // 2))
    await person.hear()

    due = round(Fraction(brought * (paid // 2), paid))
    assert till.ask("SELECT available_micro FROM tallybook.wallets") == [(brought - due,)]
    assert till.ask("SELECT refunded_minor, refunded_micro FROM tallybook.payments") == [(paid // 2, due)]


async def test_a_refund_that_is_heard_of_before_its_invoice_is_taken_with_the_grant(till: Till) -> None:
    person = Subscriber(till)
    opened = await person.open()
    till.pay(opened.checkout, card="4242424242424242")
    till.stripe_post("/v1/refunds", payment_intent=intent_of(till))
    heard = person.events()

    await person.hear([event for event in heard if event["type"] == "refund.created"])
    first = till.grants()
    await person.hear(heard)

    assert first == 0
    assert till.grants() == 1
    assert balances(till) == (0, 0, 0)
    [[refunded, paid]] = till.ask("SELECT refunded_minor, paid_minor FROM tallybook.payments")
    assert refunded == paid


async def test_what_went_back_of_an_invoice_is_taken_with_the_grant_though_nobody_tells_of_it(
    clocked: Subscriber,
) -> None:
    """Weeks of webhooks are lost: the reconciler finds the payment, when the dispute of it is long past."""
    till = clocked.till
    opened = await clocked.open()
    till.pay(opened.checkout, card="4242424242424242")
    [charge] = till.stripe_get("/v1/charges", customer=clocked.customer_id)["data"]
    till.sandbox.control(f"charges/{charge['id']}/dispute", amount=333)
    heard = clocked.events()

    await clocked.hear([event for event in heard if event["type"] == "invoice.paid"])

    due = round(Fraction(100_000_000 * 333, 999))
    assert till.ask("SELECT available_micro FROM tallybook.wallets") == [(100_000_000 - due,)]
    assert till.ask("SELECT disputed_minor FROM tallybook.payments") == [(333,)]


async def test_an_invoice_is_refunded_from_our_side_like_any_payment(till: Till) -> None:
    person = Subscriber(till)
    await person.subscribe()
    await wallets.spend(till.ctx, till.caller, credits=Credits.whole(1), key="job")

    made = await money_back.refund(till.ctx, OPERATOR, 1, amount_minor=None, reason=None, key="all")
    await work_off(till.ctx)

    assert made.payment.refundable_minor == 0
    assert balances(till) == (0, 0, 1)


def downgraded_at_the_dashboard(clocked: Subscriber, found: Subscription) -> None:
    """Half of the month is left, and it goes to the smallest plan: the rest of the money is the customer's balance."""
    till = clocked.till
    price = till.stripe_get("/v1/prices", **{"lookup_keys[]": "plan_starter"})["data"][0]["id"]
    clocked.advance(START + timedelta(days=15, hours=12))
    till.stripe_post(
        f"/v1/subscriptions/{found.stripe_subscription_id}",
        **{
            "items[0][id]": str(found.stripe_item_id),
            "items[0][price]": price,
            "proration_behavior": "always_invoice",
        },
    )


async def test_what_a_change_of_plans_returned_is_not_taken_once_more(clocked: Subscriber) -> None:
    """A downgrade at the dashboard took credits along already: a full refund after it takes what is left of them."""
    till = clocked.till
    found = await clocked.subscribe("plan_business")
    downgraded_at_the_dashboard(clocked, found)
    await clocked.hear()
    left = till.credits()

    till.stripe_post("/v1/refunds", payment_intent=intent_of(till))
    await clocked.hear()

    assert 0 < left < 2000
    assert balances(till) == (0, 0, 0)


async def test_a_change_of_plans_after_a_refund_gives_none_of_its_credits_back(clocked: Subscriber) -> None:
    """The refund's credits are its part of all that was brought, whatever is returned later."""
    till = clocked.till
    found = await clocked.subscribe("plan_business")
    [[paid, brought]] = till.ask("SELECT paid_minor, credits_micro FROM tallybook.payments")
    till.stripe_post("/v1/refunds", payment_intent=intent_of(till), amount=str(paid // 2))
    await clocked.hear()
    downgraded_at_the_dashboard(clocked, found)
    await clocked.hear()
    [[left]] = till.ask("SELECT available_micro FROM tallybook.wallets")

    till.stripe_post("/v1/refunds", payment_intent=intent_of(till), amount="1")
    await clocked.hear()

    assert 0 < left < brought // 2
    assert till.ask("SELECT available_micro FROM tallybook.wallets") == [(left - brought // paid,)]
    assert till.ask("SELECT count(*) FROM tallybook.payment_steps WHERE amount_micro < 0") == [(0,)]


async def test_an_invoice_whose_credits_a_refund_took_already_takes_nothing_of_later_periods(
    clocked: Subscriber,
) -> None:
    till = clocked.till
    found = await clocked.subscribe("plan_business")
    till.stripe_post("/v1/refunds", payment_intent=intent_of(till))
    await clocked.hear()
    downgraded_at_the_dashboard(clocked, found)
    await clocked.hear()
    [[change]] = till.ask(
        "SELECT stripe_invoice_id FROM tallybook.subscription_invoices WHERE outcome = 'taken_back'"
    )
    clocked.advance(utc(2027, 2, 2))
    await clocked.hear()

    await settling.settle_invoice(till.ctx, str(change))

    assert [credits for *_, credits in clocked.invoices()] == [2000, -950, 100]
    assert balances(till) == (100, 0, 0)


async def test_a_refund_of_an_invoice_that_a_balance_paid_in_part_leaves_the_balances_credits(
    clocked: Subscriber,
) -> None:
    till = clocked.till
    available = "SELECT available_micro FROM tallybook.wallets"
    till.stripe_post(f"/v1/customers/{clocked.customer_id}", balance="-4999")
    await clocked.subscribe("plan_business")
    [[paid, from_balance, brought]] = till.ask(
        "SELECT paid_minor, from_balance_minor, credits_micro FROM tallybook.payments"
    )

    till.stripe_post("/v1/refunds", payment_intent=intent_of(till), amount="1000")
    await clocked.hear()
    after_a_part = till.ask(available)
    [shown] = await payments.newest(till.ctx, OPERATOR, user_id=None, limit=1)
    preview = await payments.preview_refund(till.ctx, OPERATOR, shown.payment_id, amount_minor=None)
    till.stripe_post("/v1/refunds", payment_intent=intent_of(till))
    await clocked.hear()

    a_part = round(Fraction(brought * 1000, 9999))
    whole = round(Fraction(brought * 5000, 9999))
    assert (paid, from_balance, shown.refundable_minor) == (5000, 4999, 4000)
    assert after_a_part == [(brought - a_part,)]
    assert preview.credits.micro == whole - a_part
    assert till.ask(available) == [(brought - whole,)]

"""Refunds: what they take back of a payment's credits, in any order of events, before and after the grant."""

from __future__ import annotations

import itertools

import pytest

from payments.desk import OPERATOR, Till
from payments.money import balances, books, bought, deliver, refund
from tallybook.domain.ledger import recipes
from tallybook.domain.money import Credits
from tallybook.domain.payments.handled import HANDLED_TYPES, left_alone_as
from tallybook.domain.payments.inbox import EventStatus, Selection
from tallybook.usecases import events, fulfilment, wallets
from tallybook.worker.main import work_off

pytestmark = pytest.mark.timeout(60)
STARTER = 1000


async def test_a_payment_that_was_refunded_before_its_grant_is_not_granted(till: Till) -> None:
    checkout = await till.open()
    till.pay(checkout)
    refund(till, checkout)

    await till.deliver_all(checkout)

    assert (till.grants(), till.credits()) == (0, 0)
    assert ("checkout.session.completed", "done", "refunded") in till.inbox()
    assert await till.status(checkout) == "failed"
    assert ("refunded",) in till.ask("SELECT after->>'outcome' FROM tallybook.audit_log")


async def test_the_return_page_does_not_grant_a_refunded_payment_either(till: Till) -> None:
    checkout = await till.open()
    till.pay(checkout)
    refund(till, checkout, amount="400")
    refund(till, checkout, amount="600")

    settled = await fulfilment.return_from_checkout(till.ctx, till.caller, checkout.stripe_session_id or "")

    assert settled.outcome == "refunded"
    assert till.grants() == 0


async def test_a_part_that_was_refunded_before_the_grant_is_taken_back_with_it(till: Till) -> None:
    checkout = await till.open()
    till.pay(checkout)
    refund(till, checkout, amount="400")

    settled = await fulfilment.return_from_checkout(till.ctx, till.caller, checkout.stripe_session_id or "")

    assert settled.outcome == "granted_partly_refunded"
    assert till.credits() == 600
    assert books(till) == [(400, 0, 400, 0)]
    assert ("granted_partly_refunded",) in till.ask("SELECT after->>'outcome' FROM tallybook.audit_log")


async def test_a_refund_that_is_heard_of_before_its_payment_grants_what_is_kept(till: Till) -> None:
    checkout = await till.open()
    till.pay(checkout)
    refund(till, checkout, amount="250")

    await deliver(till, checkout, "refund.created")
    first = till.credits()
    await till.deliver_all(checkout)

    assert (first, till.credits()) == (750, 750)
    assert ("refund.created", "done", "granted_partly_refunded") in till.inbox()


async def test_pitfall_17_a_refund_from_stripes_dashboard_takes_all_credits_back(till: Till) -> None:
    checkout = await bought(till)
    refund(till, checkout)

    await till.deliver_all(checkout)

    assert balances(till) == (0, 0, 0)
    assert books(till) == [(1000, 0, STARTER, 0)]
    assert await till.status(checkout) == "paid"
    assert ("charge.refunded", "done", "taken_back") in till.inbox() or (
        "refund.created",
        "done",
        "taken_back",
    ) in till.inbox()


async def test_pitfall_16_partial_refunds_add_up_and_take_no_more_than_their_part(till: Till) -> None:
    checkout = await bought(till)
    left = []
    for amount in ("333", "333", "334"):
        refund(till, checkout, amount=amount)
        await till.deliver_all(checkout)
        left.append(till.credits())

    assert left == [667, 334, 0]
    assert [row[0] for row in till.ask("SELECT amount_micro FROM tallybook.payment_steps ORDER BY step")] == [
        333_000_000,
        333_000_000,
        334_000_000,
    ]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_pitfall_16_events_of_refunds_in_any_order_and_twice_take_the_same(
    till: Till, order: list[int]
) -> None:
    checkout = await bought(till)
    refund(till, checkout, amount="100")
    refund(till, checkout, amount="250")
    wanted = [e for e in till.events(checkout) if e["type"] in {"charge.refunded", "refund.created"}]
    mixed = [wanted[i] for i in order] + wanted[3:] + wanted

    for event in mixed:
        await till.deliver(event)
        await work_off(till.ctx)
    await events.replay(till.ctx, OPERATOR, Selection(status=EventStatus.DONE))
    await work_off(till.ctx)

    assert till.credits() == 650
    assert books(till) == [(350, 0, 350, 0)]


async def test_pitfall_17_what_was_spent_of_a_refunded_payment_becomes_debt_and_is_paid_first(
    till: Till,
) -> None:
    checkout = await bought(till)
    await wallets.spend(till.ctx, till.caller, credits=Credits.whole(700), key="job")
    refund(till, checkout)

    await till.deliver_all(checkout)
    owed = balances(till)
    await bought(till)

    assert owed == (0, 0, 700)
    assert balances(till) == (300, 0, 0)


async def test_a_webhook_of_a_refund_that_was_missed_is_repaired_by_any_later_one(till: Till) -> None:
    checkout = await bought(till)
    refund(till, checkout, amount="100")
    refund(till, checkout, amount="200")

    newest = [e for e in till.events(checkout) if e["type"] == "refund.created"][-1]
    await till.deliver(newest)
    await work_off(till.ctx)

    assert till.credits() == 700


async def test_a_refund_of_somebody_elses_payment_is_recorded_and_left_alone(till: Till) -> None:
    await bought(till)
    intent = till.stripe_post(
        "/v1/payment_intents",
        amount="1000",
        currency="usd",
        confirm="true",
        payment_method="pm_card_visa",
        return_url="https://else.example/ok",
    )
    made = till.stripe_post("/v1/refunds", payment_intent=intent["id"])
    page = till.stripe_get("/v1/events", limit=20)["data"]

    for event in page:
        if event["type"] in {"refund.created", "charge.refunded"} and intent["id"] in str(event):
            await till.deliver(event)
    await work_off(till.ctx)

    assert till.credits() == STARTER
    assert ("refund.created", "done", "foreign") in till.inbox()
    assert till.ask("SELECT stripe_refund_id, status FROM tallybook.refunds") == [(made["id"], "succeeded")]


async def test_a_refund_takes_the_payments_own_credits_first(till: Till) -> None:
    first = await bought(till)
    await bought(till)
    refund(till, first)

    await till.deliver_all(first)

    lots = till.ask("SELECT available_micro / 1000000 FROM tallybook.lots_now ORDER BY version")
    assert [int(row[0]) for row in lots] == [0, STARTER]


async def test_a_refund_takes_what_is_not_held_and_the_rest_when_the_hold_gives_it_back(till: Till) -> None:
    checkout = await bought(till)
    held = await wallets.place_hold(till.ctx, till.caller, credits=Credits.whole(600), key="work")
    assert held.hold is not None
    refund(till, checkout)

    await till.deliver_all(checkout)
    meanwhile = balances(till)
    await wallets.capture_hold(till.ctx, till.caller, held.hold, credits=Credits.whole(100), key="done")

    assert meanwhile == (0, 600, 600)
    assert balances(till) == (0, 0, 100)


async def test_a_bonus_beside_the_payment_is_left_when_it_is_refunded(till: Till) -> None:
    checkout = await bought(till)
    await till.ctx.group_commit.post(
        recipes.adjustment(1, Credits.whole(50), app_id=0, key="bonus"),
    )
    refund(till, checkout)

    await till.deliver_all(checkout)

    assert till.credits() == 50


def test_events_about_refunds_and_disputes_are_worked_on() -> None:
    assert {left_alone_as(kind) for kind in HANDLED_TYPES} == {None}
    assert left_alone_as("product.updated") == "unhandled_type"
    assert {"charge.refunded", "refund.created", "charge.dispute.created"} <= HANDLED_TYPES

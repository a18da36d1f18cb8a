"""Money that went back at Stripe: before the grant it is seen there; events about it are kept for later."""

from __future__ import annotations

import pytest

from payments.desk import OPERATOR, Till
from tallybook.domain.payments.checkouts import Checkout
from tallybook.domain.payments.handled import HANDLED_TYPES, NOT_YET_HANDLED_TYPES, left_alone_as
from tallybook.domain.payments.inbox import EventStatus, Selection
from tallybook.usecases import events, fulfilment
from tallybook.worker.main import work_off

pytestmark = pytest.mark.timeout(60)


def refund(till: Till, checkout: Checkout, **how: str) -> None:
    """Give a checkout's payment back at Stripe, by default all of it."""
    session = till.stripe_get(f"/v1/checkout/sessions/{checkout.stripe_session_id}")
    made = till.stripe_post("/v1/refunds", payment_intent=session["payment_intent"], **how)
    assert made["status"] == "succeeded", made


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


async def test_a_payment_that_was_refunded_in_part_is_granted_and_says_so(till: Till) -> None:
    checkout = await till.open()
    till.pay(checkout)
    refund(till, checkout, amount="400")

    await till.deliver_all(checkout)

    assert till.credits() == 1000
    assert ("payment_intent.succeeded", "done", "granted_partly_refunded") in till.inbox()
    assert ("granted_partly_refunded",) in till.ask("SELECT after->>'outcome' FROM tallybook.audit_log")


async def test_a_refund_after_the_grant_takes_nothing_back_yet(till: Till) -> None:
    checkout = await till.open()
    till.pay(checkout)
    await till.deliver_all(checkout)
    refund(till, checkout)

    await till.deliver_all(checkout)

    assert till.credits() == 1000
    assert await till.status(checkout) == "paid"


async def test_events_about_money_that_went_back_are_kept_to_be_replayed(till: Till) -> None:
    checkout = await till.open()
    till.pay(checkout)
    await till.deliver_all(checkout)
    refund(till, checkout)
    await till.deliver_all(checkout)
    kept = {(status, outcome) for kind, status, outcome in till.inbox() if "refund" in kind}

    await events.replay(till.ctx, OPERATOR, Selection(status=EventStatus.IGNORED))
    await work_off(till.ctx)

    replayed = {(status, outcome) for kind, status, outcome in till.inbox() if "refund" in kind}
    assert kept == replayed == {("ignored", "not_yet_handled")}
    assert ("charge.succeeded", "ignored", "unhandled_type") in till.inbox()


def test_events_about_refunds_and_disputes_are_told_apart_from_what_never_matters() -> None:
    assert {left_alone_as(kind) for kind in NOT_YET_HANDLED_TYPES} == {"not_yet_handled"}
    assert {left_alone_as(kind) for kind in HANDLED_TYPES} == {None}
    assert left_alone_as("customer.updated") == "unhandled_type"
    assert {"charge.refunded", "refund.created", "charge.dispute.created"} <= NOT_YET_HANDLED_TYPES

"""What must never grant: payments that we did not start, other modes, other sums; and what happens to events."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sandbox.process import KEY

from payments.desk import OPERATOR, Till, system_clock
from tallybook.domain.errors import EventNotFoundError, InvalidRequestError
from tallybook.domain.payments.inbox import EventStatus, Selection
from tallybook.domain.payments.retries import ATTEMPTS_MAX
from tallybook.stripe.gateway import PINNED_API_VERSION, StripeGateway
from tallybook.usecases import events
from tallybook.worker.main import work_off

pytestmark = pytest.mark.timeout(60)


def foreign_session(till: Till, **metadata: str) -> dict[str, Any]:
    """A session that somebody else opened in the same Stripe account, paid."""
    price = till.stripe_get("/v1/prices", **{"lookup_keys[]": "package_pro"})["data"][0]
    form = {
        "mode": "payment",
        "success_url": "https://else.example/ok",
        "line_items[0][price]": price["id"],
        "line_items[0][quantity]": "1",
    } | {f"metadata[{name}]": value for name, value in metadata.items()}
    session = till.stripe_post("/v1/checkout/sessions", **form)
    till.sandbox.control(f"checkout/sessions/{session['id']}/pay", card="4242424242424242")
    paid = till.stripe_get(f"/v1/checkout/sessions/{session['id']}")
    assert isinstance(paid, dict)
    return paid


async def test_pitfall_10_a_session_that_we_did_not_open_never_grants_even_with_our_metadata(
    till: Till,
) -> None:
    ours = await till.open()
    [[deployment]] = till.ask("SELECT deployment_id::text FROM tallybook.stripe_account")
    session = foreign_session(till, checkout_id="chk_1", user_id=str(till.user_id), deployment=deployment)
    page = till.stripe_get("/v1/events", limit=100)["data"]
    about = [e for e in page if e["data"]["object"]["id"] in (session["id"], session["payment_intent"])]

    for event in about:
        await till.deliver(event)
    await work_off(till.ctx)

    assert till.grants() == 0
    assert await till.status(ours) == "open"
    assert ("checkout.session.completed", "done", "foreign") in till.inbox()
    assert ("payment_intent.succeeded", "done", "foreign") in till.inbox()


async def test_a_payment_intent_without_a_session_never_grants(till: Till) -> None:
    intent = till.stripe_post(
        "/v1/payment_intents",
        amount="1000",
        currency="usd",
        confirm="true",
        payment_method="pm_card_visa",
        return_url="https://else.example/ok",
        **{"metadata[user_id]": str(till.user_id)},
    )
    assert intent["status"] == "succeeded", intent
    page = till.stripe_get("/v1/events", limit=20)["data"]
    [event] = [
        e
        for e in page
        if e["type"] == "payment_intent.succeeded" and e["data"]["object"]["id"] == intent["id"]
    ]

    await till.deliver(event)
    await work_off(till.ctx)

    assert till.grants() == 0
    assert till.inbox() == [("payment_intent.succeeded", "done", "foreign")]


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ("amount_minor = 900", "mismatch_amount"),
        ("currency = 'eur'", "mismatch_currency"),
        ("mode = 'subscription'", "mismatch_mode"),
    ],
)
async def test_pitfall_20_a_payment_of_other_terms_is_recorded_and_never_grants(
    till: Till, change: str, outcome: str
) -> None:
    checkout = await till.open()
    till.ask(f"UPDATE tallybook.checkouts SET {change}")
    till.pay(checkout)

    await till.deliver_all(checkout)

    assert till.grants() == 0
    assert ("checkout.session.completed", "done", outcome) in till.inbox()
    logged = till.ask("SELECT after->>'outcome' FROM tallybook.audit_log")
    assert (outcome,) in logged


async def test_pitfall_25_events_of_the_other_mode_are_recorded_and_never_grant(till: Till) -> None:
    checkout = await till.open()
    till.pay(checkout)

    for event in till.events(checkout):
        await till.deliver(event | {"livemode": True})
    handled = await work_off(till.ctx)

    assert (handled, till.grants()) == (0, 0)
    assert {(status, outcome) for _, status, outcome in till.inbox()} == {("ignored", "other_mode")}
    await events.replay(till.ctx, OPERATOR, Selection(status=EventStatus.IGNORED))
    await work_off(till.ctx)
    assert till.grants() == 0


async def test_pitfall_24_events_of_another_account_and_of_other_kinds_are_recorded_and_left_alone(
    till: Till,
) -> None:
    checkout = await till.open()
    till.pay(checkout)
    [completed] = [e for e in till.events(checkout) if e["type"] == "checkout.session.completed"]

    await till.deliver(completed | {"account": "acct_somebody_else"})
    await till.deliver(completed | {"id": "evt_other_kind", "type": "product.updated"})
    handled = await work_off(till.ctx)

    assert handled == 0
    assert {(status, outcome) for _, status, outcome in till.inbox()} == {
        ("ignored", "other_account"),
        ("ignored", "unhandled_type"),
    }


async def test_pitfall_03_an_event_is_tried_again_later_and_dies_in_the_end(till: Till) -> None:
    checkout = await till.open()
    till.pay(checkout)
    [completed] = [e for e in till.events(checkout) if e["type"] == "checkout.session.completed"]
    await till.deliver(completed)
    nowhere = StripeGateway(KEY, api_base="http://127.0.0.1:9", api_version=PINNED_API_VERSION)
    outage = till.but(stripe=nowhere)
    later = till.but(clock=lambda: system_clock() + timedelta(hours=2))

    await work_off(outage.ctx)
    first = till.inbox()
    too_early = await work_off(till.ctx)
    till.ask("UPDATE tallybook.stripe_events SET attempts = %s", ATTEMPTS_MAX - 1)
    await work_off(later.but(stripe=nowhere).ctx)
    await nowhere.close()

    assert first == [("checkout.session.completed", "retry", None)]
    assert too_early == 0
    [event] = await events.page(till.ctx, OPERATOR, Selection(status=EventStatus.DEAD), limit=5)
    assert (event.last_error or "").startswith("stripe_unavailable")
    await events.replay(later.ctx, OPERATOR, Selection(event_ids=(event.event_id,)))
    await work_off(later.ctx)
    assert till.credits() == 1000


async def test_a_redelivery_wakes_an_event_that_waits(till: Till) -> None:
    checkout = await till.open()
    till.pay(checkout)
    [completed] = [e for e in till.events(checkout) if e["type"] == "checkout.session.completed"]
    await till.deliver(completed)
    till.ask("UPDATE tallybook.stripe_events SET status = 'retry', next_attempt_at = now() + '1 hour'")
    before = await work_off(till.ctx)

    await till.deliver(completed)
    after = await work_off(till.ctx)

    assert (before, after) == (0, 1)
    assert till.credits() == 1000


async def test_replaying_needs_a_choice_that_matches_something(till: Till) -> None:
    with pytest.raises(InvalidRequestError):
        await events.replay(till.ctx, OPERATOR, Selection())

    with pytest.raises(EventNotFoundError):
        await events.replay(till.ctx, OPERATOR, Selection(event_ids=("evt_none",)))


async def test_pitfall_01_replaying_done_events_grants_nothing_more(till: Till) -> None:
    checkout = await till.open()
    till.pay(checkout)
    await till.deliver_all(checkout)

    replayed = await events.replay(till.ctx, OPERATOR, Selection(since=system_clock() - timedelta(hours=1)))
    await work_off(till.ctx)

    assert len(replayed) == len(till.inbox())
    assert till.credits() == 1000

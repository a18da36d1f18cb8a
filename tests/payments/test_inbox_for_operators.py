"""The inbox as operators use it: found, looked into, worked on again, given up."""

from __future__ import annotations

import json
from typing import Any

import pytest

from payments.desk import OPERATOR, Till, system_clock
from tallybook.domain.errors import (
    AdminRequiredError,
    EventNotFoundError,
    EventSettledError,
    InvalidRequestError,
)
from tallybook.domain.payments.inbox import EventStatus, Selection
from tallybook.usecases import events, fulfilment
from tallybook.worker.main import work_off

pytestmark = pytest.mark.timeout(120)


def foreign(number: int, **changes: Any) -> dict[str, Any]:
    """An event of a kind that is left alone."""
    return {
        "id": f"evt_{number:03}",
        "object": "event",
        "type": "product.updated",
        "api_version": "2026-10-28.endive",
        "livemode": False,
        "created": 1763700000 + number,
        "data": {"object": {"id": f"cus_{number % 2}", "object": "customer"}},
    } | changes


async def paid(till: Till) -> dict[str, Any]:
    """A checkout that was just paid: its completed event, delivered and not yet worked on."""
    checkout = await till.open()
    till.pay(checkout)
    [event] = [e for e in till.events(checkout) if e["type"] == "checkout.session.completed"]
    await till.deliver(event)
    return event


async def test_events_are_found_by_what_is_known_of_them_and_read_page_by_page(bare_till: Till) -> None:
    till = bare_till
    for number in range(5):
        await till.deliver(foreign(number))
    other = {"object": {"id": "in_1", "object": "invoice", "customer": "cus_9"}}
    await till.deliver(foreign(5, type="invoice.created", data=other))
    # As if they had come in the same instant: then the id decides.
    till.ask("UPDATE tallybook.stripe_events SET received_at = '2026-01-01 12:00+00'")
    till.ask(
        "UPDATE tallybook.stripe_events SET received_at = '2026-01-02 12:00+00' WHERE event_id = 'evt_000'"
    )

    async def found(after: str | None = None, limit: int = 50, **which: Any) -> list[str]:
        page = await events.page(till.ctx, OPERATOR, Selection(**which), after=after, limit=limit)
        return [event.event_id for event in page]

    newest = await found()
    [[day]] = till.ask("SELECT '2026-01-02 00:00+00'::timestamptz")

    assert newest == ["evt_000", "evt_005", "evt_004", "evt_003", "evt_002", "evt_001"]
    assert await found(limit=2) == newest[:2]
    assert await found(limit=2, after="evt_005") == newest[2:4]
    assert await found(after="evt_001") == []
    assert await found(type="invoice.created") == ["evt_005"]
    assert await found(customer_id="cus_9") == ["evt_005"]
    assert await found(object_id="cus_1") == ["evt_003", "evt_001"]
    assert await found(status=EventStatus.DEAD) == []
    assert await found(since=day) == ["evt_000"]
    assert await found(until=day) == newest[1:]
    assert await found(type="product.updated", object_id="cus_0", until=day) == ["evt_004", "evt_002"]
    with pytest.raises(EventNotFoundError):
        await found(after="evt_none")


async def test_an_event_shows_what_it_led_to(till: Till) -> None:
    event = await paid(till)
    await till.deliver(event | {"id": "evt_the_same_again"})
    await work_off(till.ctx)

    first, _, effects = await events.show(till.ctx, OPERATOR, event["id"])
    second, _, without = await events.show(till.ctx, OPERATOR, "evt_the_same_again")
    if first.outcome == "already_granted":
        (first, effects), (second, without) = (second, without), (first, effects)

    [[wallet, version]] = till.ask("SELECT wallet_id, version FROM tallybook.transfers WHERE kind = 'grant'")
    transfer = f"trf_{wallet}_{version}"
    assert (first.status, first.outcome, second.outcome) == ("done", "granted", "already_granted")
    assert effects.transfers == effects.transfers_of_object == (transfer,)
    [act] = effects.acts
    assert (act.actor, act.action, act.by_event) == ("system fulfilment", "checkout.granted", True)
    assert act.after["transfer"] == transfer
    # It came second: it did nothing, and still shows what its session brought.
    assert (without.acts, without.transfers, without.transfers_of_object) == ((), (), (transfer,))


async def test_what_the_customer_did_on_coming_back_is_no_effect_of_an_event(till: Till) -> None:
    event = await paid(till)
    checkout = event["data"]["object"]["id"]
    await fulfilment.return_from_checkout(till.ctx, till.caller, checkout)
    await work_off(till.ctx)

    found, _, effects = await events.show(till.ctx, OPERATOR, event["id"])

    assert (found.outcome, effects.transfers, effects.acts) == ("already_granted", (), ())
    assert len(effects.transfers_of_object) == 1


async def test_a_payload_is_shown_without_what_is_secret_in_it(bare_till: Till) -> None:
    key = "sk_" + "test_" + "abc"
    intent = {
        "id": "pi_1",
        "object": "payment_intent",
        "client_secret": "pi_1_" + "secret_x",
        "amount": 500,
        "list": [{"ephemeral_token": "t"}, {"note": key}, {"last4": "4242"}],
        "next_action": {"client_secret": None},
    }
    await bare_till.deliver(foreign(1, data={"object": intent}))

    _, payload, _ = await events.show(bare_till.ctx, OPERATOR, "evt_001")

    assert payload["data"]["object"] == intent | {
        "client_secret": "[secret]",
        "list": [{"ephemeral_token": "[secret]"}, {"note": "[secret]"}, {"last4": "4242"}],
    }
    assert "secret_x" not in json.dumps(payload)


async def test_a_replay_is_counted_first_then_done_in_batches_and_each_is_audited(bare_till: Till) -> None:
    till = bare_till
    for number in range(7):
        await till.deliver(foreign(number))
    which = Selection(status=EventStatus.IGNORED, until=system_clock())
    heard: list[int] = []

    counted = await events.count_to_replay(till.ctx, OPERATOR, which)
    untouched = {status for _, status, _ in till.inbox()}
    replayed = await events.replay(till.ctx, OPERATOR, which, progress=heard.append, batch=3)

    assert (counted, untouched) == (7, {"ignored"})
    assert replayed == [f"evt_{number:03}" for number in range(7)]
    assert heard == [3, 3, 1]
    assert {status for _, status, _ in till.inbox()} == {"received"}
    logged = till.ask(
        "SELECT actor_kind, action, subject_id, (after->>'events')::int FROM tallybook.audit_log ORDER BY audit_id"
    )
    assert logged == [("operator", "events.replayed", "ignored", count) for count in (3, 3, 1)]
    assert await work_off(till.ctx) == 7
    assert till.ask("SELECT DISTINCT replays FROM tallybook.stripe_events") == [(1,)]


async def test_every_settled_event_of_a_payment_may_be_replayed_and_nothing_is_added(till: Till) -> None:
    event = await paid(till)
    await work_off(till.ctx)
    for _ in range(3):
        await events.replay(till.ctx, OPERATOR, Selection(status=EventStatus.DONE))
        await work_off(till.ctx)
    await events.replay(till.ctx, OPERATOR, Selection(event_ids=(event["id"],)))
    await work_off(till.ctx)

    found, _, effects = await events.show(till.ctx, OPERATOR, event["id"])

    assert (till.credits(), till.grants()) == (1000, 1)
    assert (found.outcome, found.replays) == ("already_granted", 4)
    assert [act.action for act in effects.acts] == ["checkout.granted", "event.replayed"]


async def test_a_dead_event_is_given_up_for_good_with_a_reason(bare_till: Till) -> None:
    till = bare_till
    await till.deliver(foreign(1))
    await till.deliver(foreign(2))
    till.ask("UPDATE tallybook.stripe_events SET status = 'dead', outcome = NULL, last_error = 'a bug'")

    given = await events.give_up(till.ctx, OPERATOR, "evt_001", reason="  paid back by hand ")
    again = await events.give_up(till.ctx, OPERATOR, "evt_001", reason="another reason")
    # Neither a redelivery nor a replay of all the dead wakes it.
    await till.deliver(foreign(1))
    replayed = await events.replay(till.ctx, OPERATOR, Selection(status=EventStatus.DEAD))
    kept, _, effects = await events.show(till.ctx, OPERATOR, "evt_001")

    assert given == again
    assert (given.status, given.outcome, given.last_error) == ("dead", "given_up", "a bug")
    assert replayed == ["evt_002"]
    assert (kept.status, kept.outcome, kept.deliveries) == ("dead", "given_up", 2)
    assert [(act.action, dict(act.after)) for act in effects.acts] == [
        ("event.given_up", {"reason": "paid back by hand"})
    ]
    await events.replay(till.ctx, OPERATOR, Selection(event_ids=("evt_001",)))
    await work_off(till.ctx)
    assert {(status, outcome) for _, status, outcome in till.inbox()} == {("ignored", "unhandled_type")}


@pytest.mark.parametrize("status", ["done", "ignored", "processing"])
async def test_what_is_settled_or_in_work_cannot_be_given_up(bare_till: Till, status: str) -> None:
    await bare_till.deliver(foreign(1))
    bare_till.ask("UPDATE tallybook.stripe_events SET status = %s", status)

    with pytest.raises(EventSettledError):
        await events.give_up(bare_till.ctx, OPERATOR, "evt_001", reason="why not")

    assert bare_till.ask("SELECT count(*) FROM tallybook.audit_log") == [(0,)]


async def test_an_event_that_waits_is_given_up_too_and_no_worker_takes_it(bare_till: Till) -> None:
    await bare_till.deliver(foreign(1))
    await events.replay(bare_till.ctx, OPERATOR, Selection(event_ids=("evt_001",)))

    await events.give_up(bare_till.ctx, OPERATOR, "evt_001", reason="it is poison")

    assert await work_off(bare_till.ctx) == 0


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "two\nlines"])
async def test_giving_up_needs_a_reason_in_a_line(bare_till: Till, reason: str) -> None:
    with pytest.raises(InvalidRequestError):
        await events.give_up(bare_till.ctx, OPERATOR, "evt_001", reason=reason)


async def test_an_event_that_is_not_there_is_not_given_up(bare_till: Till) -> None:
    with pytest.raises(EventNotFoundError):
        await events.give_up(bare_till.ctx, OPERATOR, "evt_none", reason="why not")


async def test_customers_may_do_none_of_it(bare_till: Till) -> None:
    ctx, customer, which = bare_till.ctx, bare_till.caller, Selection(event_ids=("evt_1",))

    for asking in (
        events.page(ctx, customer, which, limit=1),
        events.show(ctx, customer, "evt_1"),
        events.count_to_replay(ctx, customer, which),
        events.replay(ctx, customer, which),
        events.give_up(ctx, customer, "evt_1", reason="why not"),
    ):
        with pytest.raises(AdminRequiredError):
            await asking

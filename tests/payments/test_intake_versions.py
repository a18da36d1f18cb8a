"""Events of every API version are taken in and settled; one that nobody tested raises an alarm, once."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from payments.desk import OPERATOR, Till
from tallybook.domain.payments.sightings import VERSIONS_TESTED
from tallybook.settings import STRIPE_API_VERSION, STRIPE_API_VERSIONS_TESTED
from tallybook.usecases import alerts, events
from tallybook.worker.main import work_off

pytestmark = pytest.mark.timeout(120)

# What each version's objects have that others lack: https://docs.stripe.com/changelog. The intake must not care.
INVOICES: dict[str, dict[str, Any]] = {
    "2023-10-16": {
        "paid": True,
        "subscription": "sub_1",
        "payment_intent": "pi_1",
        "charge": "ch_1",
        "discount": None,
        "lines": {
            "data": [{"type": "subscription", "proration": False, "price": {"id": "price_1"}, "plan": {}}]
        },
    },
    "2025-02-24.acacia": {
        "paid": True,
        "subscription": {"id": "sub_1", "object": "subscription"},
        "subscription_details": {"metadata": {"a": "b"}},
        "payment_intent": {"id": "pi_1", "object": "payment_intent"},
        "lines": {"data": [{"type": "invoiceitem", "proration": True, "price": {"id": "price_1"}}]},
    },
    "2025-08-27.basil": {
        "parent": {"type": "subscription_details", "subscription_details": {"subscription": "sub_1"}},
        "confirmation_secret": {"client_secret": "hidden", "type": "payment_intent"},
        "payments": {"data": [{"payment": {"type": "payment_intent", "payment_intent": "pi_1"}}]},
        "lines": {"data": [{"parent": {}, "pricing": {"price_details": {"price": "price_1"}}}]},
    },
    "2026-02-25.clover": {
        "parent": {"type": "subscription_details", "subscription_details": {"subscription": "sub_1"}},
        "discounts": [{"source": {"coupon": "free", "type": "coupon"}}],
        "lines": {"data": [{"parent": None, "pricing": None}]},
    },
    "2026-10-28.endive": {
        "parent": None,
        "amount_overpaid": 0,
        "lines": {"data": [{"quantity_decimal": "1"}]},
    },
}


def test_each_tested_version_has_its_sample_and_ours_are_among_them() -> None:
    assert INVOICES.keys() == set(VERSIONS_TESTED)
    assert {STRIPE_API_VERSION, *STRIPE_API_VERSIONS_TESTED} <= set(VERSIONS_TESTED)


def event_of(version: str | None, number: int = 1) -> dict[str, Any]:
    """An invoice's event as an endpoint of this version gets it."""
    invoice = {"id": "in_1", "object": "invoice", "customer": "cus_1"} | INVOICES.get(version or "", {})
    return {
        "id": f"evt_{number}",
        "object": "event",
        "type": "invoice.created",
        "api_version": version,
        "livemode": False,
        "created": 1763700000,
        "pending_webhooks": 1,
        "request": None if version == "2023-10-16" else {"id": None, "idempotency_key": None},
        "data": {"object": invoice},
    }


@pytest.mark.parametrize("version", VERSIONS_TESTED)
async def test_an_event_of_each_version_is_taken_and_read(bare_till: Till, version: str) -> None:
    await bare_till.deliver(event_of(version))

    found, payload, _ = await events.show(bare_till.ctx, OPERATOR, "evt_1")

    assert (found.api_version, found.object_id, found.customer_id) == (version, "in_1", "cus_1")
    assert payload["data"]["object"]["lines"] == INVOICES[version]["lines"]
    assert bare_till.ask("SELECT count(*) FROM tallybook.announcements") == [(0,)]


@pytest.mark.parametrize("version", [*VERSIONS_TESTED, "2019-02-19", "2031-01-01.zinnia", None])
async def test_pitfall_21_a_payment_is_granted_whatever_version_tells_of_it(
    till: Till, version: str | None
) -> None:
    checkout = await till.open()
    till.pay(checkout)
    [event] = [e for e in till.events(checkout) if e["type"] == "checkout.session.completed"]
    # An endpoint of another version sends another shape: less is there, more is there, none of it is used.
    session = {"id": event["data"]["object"]["id"], "object": "checkout.session", "no_such_field": {"a": 1}}

    await till.deliver(event | {"api_version": version, "data": {"object": session}})
    await work_off(till.ctx)

    assert till.credits() == 1000


async def test_pitfall_21_a_version_that_nobody_tested_raises_one_alarm(bare_till: Till) -> None:
    till = bare_till
    with capture_logs() as said:
        for number in range(3):
            await till.deliver(event_of("2031-01-01.zinnia", number))
        await till.deliver(event_of("2019-02-19", 3))
        await till.deliver(event_of(None, 4))

    alarms = [line for line in said if line["event"] == "stripe_version_drifted"]
    told = await alerts.announcements(till.ctx, OPERATOR, alerts.Place(), before=2**62)

    assert [(line["log_level"], line["api_version"]) for line in alarms] == [
        ("error", "2031-01-01.zinnia"),
        ("error", "2019-02-19"),
    ]
    assert [(one.kind, dict(one.facts)) for one in told] == [
        ("stripe.version_drifted", {"api_version": "2019-02-19", "event": "evt_3"}),
        ("stripe.version_drifted", {"api_version": "2031-01-01.zinnia", "event": "evt_0"}),
    ]
    assert len(till.inbox()) == 5


async def test_a_version_of_any_length_is_taken(bare_till: Till) -> None:
    await bare_till.deliver(event_of("v" * 255))

    [[facts]] = bare_till.ask("SELECT facts FROM tallybook.announcements")
    assert facts["api_version"] == "v" * 200
    assert len(bare_till.inbox()) == 1

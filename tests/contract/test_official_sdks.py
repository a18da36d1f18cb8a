"""The official SDKs for Python and Node live a subscriber's life at the sandbox: create, pay, renew, refund, dispute.

Every answer that the Python SDK gets is held against the published types on the way; the Node SDK verifies every
webhook. At the end the whole sandbox is looked through.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from shutil import which
from typing import Any

import pytest
import stripe
from contract.desk import Desk
from contract.node_types import TOOL

pytestmark = pytest.mark.timeout(120)

START = 1775044800
MONTH = 32 * 24 * 3600
SECONDS = 60
TOLD = {
    "customer.subscription.created",
    "invoice.paid",
    "invoice.upcoming",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "refund.created",
    "charge.refunded",
    "charge.dispute.created",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "charge.dispute.closed",
}
"""What such a life tells, whatever SDK it is lived with."""


def wait(true: Callable[[], bool]) -> None:
    """Wait for what happens in the background."""
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def lived_in_python(desk: Desk) -> dict[str, Any]:
    """The same life as ``tools/stripe_types/life.mjs``, with the SDK for Python."""
    client = desk.stripe
    clock = client.test_helpers.test_clocks.create({"frozen_time": START}).id
    settings: Any = {"invoice_settings": {"default_payment_method": "pm_card_visa"}}
    who: Any = {"email": "kim@example.com", "test_clock": clock, "payment_method": "pm_card_visa"}
    customer = client.customers.create(who | settings).id
    product = client.products.create({"name": "Plan"}).id
    terms: Any = {
        "product": product,
        "currency": "usd",
        "unit_amount": 2000,
        "recurring": {"interval": "month"},
    }
    price = client.prices.create(terms).id
    wish: Any = {"customer": customer, "items": [{"price": price}], "expand": ["latest_invoice.payments"]}
    subscription = client.subscriptions.create(wish)
    first: Any = subscription.latest_invoice
    client.test_helpers.test_clocks.advance(clock, {"frozen_time": START + MONTH})
    wait(lambda: client.test_helpers.test_clocks.retrieve(clock).status == "ready")
    page = client.invoices.list({"subscription": subscription.id, "limit": 1})
    invoices = list(page.auto_paging_iter())
    [link] = client.invoice_payments.list({"invoice": invoices[0].id}).data
    refund = client.refunds.create({"payment_intent": str(link.payment.payment_intent), "amount": 500})
    money: Any = {"amount": 3000, "currency": "usd", "customer": customer, "confirm": True}
    payment = client.payment_intents.create(money | {"payment_method": "pm_card_createDispute"})
    about: Any = {"payment_intent": payment.id}
    wait(lambda: len(client.disputes.list(about).data) == 1)
    [dispute] = client.disputes.list(about).data
    evidence: Any = {"evidence": {"uncategorized_text": "winning_evidence"}, "submit": True}
    closed = client.disputes.update(dispute.id, evidence)
    poor: Any = {
        "amount": 100,
        "currency": "usd",
        "payment_method": "pm_card_chargeDeclined",
        "confirm": True,
    }
    with pytest.raises(stripe.CardError) as refused:
        client.payment_intents.create(poor)
    error: Any = refused.value.error
    return {
        "api_version": stripe.api_version,
        "subscription": subscription.status,
        "first_payment": first.payments.data[0].status,
        "invoices": [[one.billing_reason, one.status, one.total] for one in invoices],
        "refund": [refund.status, refund.amount],
        "payment": payment.status,
        "dispute": [dispute.status, closed.status],
        "decline": {"type": "StripeCardError", "code": error.code, "decline_code": error.decline_code},
    }


def lived_in_node(desk: Desk) -> dict[str, Any]:
    """A life with the SDK for Node, in a process of its own."""
    node = which("node")
    assert node, "node is needed for the contract tests"
    done = subprocess.run(
        [node, "life.mjs", desk.base_url],
        cwd=TOOL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout)
    assert isinstance(seen, dict)
    return seen


def test_a_life_with_the_sdk_for_python_and_with_the_sdk_for_node_is_the_same(desk: Desk) -> None:
    with_python = lived_in_python(desk)
    with_node = lived_in_node(desk)

    told = set(with_node.pop("told"))
    assert (with_node.pop("refused"), with_node.pop("undelivered")) == ([], [])
    assert with_python == with_node
    assert with_node["invoices"] == [
        ["subscription_cycle", "paid", 2000],
        ["subscription_create", "paid", 2000],
    ]
    assert with_node["dispute"] == ["needs_response", "won"]
    assert (with_node["refund"], with_node["decline"]["code"]) == (["succeeded", 500], "card_declined")
    assert TOLD - told == set()
    recording = desk.verdict()
    assert recording.deviations == []
    assert TOLD - recording.event_types == set()

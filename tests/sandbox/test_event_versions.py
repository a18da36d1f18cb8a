"""Events in the version of their endpoint: 2023-10-16, acacia, basil, clover and the pinned one."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import stripe

from sandbox.process import Running, start
from sandbox.receiver import Receiver
from stripe_sandbox.versions import SERVED

OLD, ACACIA, BASIL, CLOVER = "2023-10-16", "2025-02-24.acacia", "2025-08-27.basil", "2026-02-25.clover"
pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def own() -> Iterator[Running]:
    """A sandbox of the test's own."""
    sandbox = start(options=("--retry-first", "0.05", "--retry-longest", "0.1"))
    yield sandbox
    sandbox.stop()


def life(client: stripe.StripeClient) -> None:
    """A subscriber with a coupon, a renewal of the plan's metadata, and a session of a shop."""
    customer = client.v1.customers.create({"payment_method": "pm_card_visa"})
    settings: Any = {"invoice_settings": {"default_payment_method": customer_card(client, customer.id)}}
    client.v1.customers.update(customer.id, settings)
    product = client.v1.products.create({"name": "Plan", "marketing_features": [{"name": "Fast"}]})
    price: Any = {
        "product": product.id,
        "currency": "usd",
        "unit_amount": 900,
        "recurring": {"interval": "month"},
    }
    plan = client.v1.prices.create(price)
    coupon = client.v1.coupons.create({"percent_off": 50})
    code: Any = {"promotion": {"type": "coupon", "coupon": coupon.id}}
    client.v1.promotion_codes.create(code)
    subscription = client.v1.subscriptions.create(
        {"customer": customer.id, "items": [{"price": plan.id}], "discounts": [{"coupon": coupon.id}]}
    )
    client.v1.subscriptions.update(subscription.id, {"trial_end": 2_000_000_000})
    line: Any = {"price": plan.id, "quantity": 1}
    session = client.v1.checkout.sessions.create(
        {"mode": "subscription", "line_items": [line], "success_url": "http://127.0.0.1:9/done"}
    )
    client.v1.checkout.sessions.expire(session.id)


def customer_card(client: stripe.StripeClient, customer: str) -> str:
    """The card of a customer."""
    return client.v1.payment_methods.list({"customer": customer}).data[0].id


def on_trial(events: list[dict[str, Any]]) -> dict[str, Any]:
    """What changed when the subscription was put on trial."""
    [event] = [
        event
        for event in events
        if event["type"] == "customer.subscription.updated"
        and event["data"]["object"]["status"] == "trialing"
    ]
    changed = event["data"]["previous_attributes"]
    assert isinstance(changed, dict)
    return changed


def told(own: Running, receiver: Receiver, client: stripe.StripeClient) -> dict[str, list[dict[str, Any]]]:
    """What one life tells endpoints of each version, by version, in no order."""
    for version in SERVED:
        client.v1.webhook_endpoints.create(
            {"url": receiver.url, "enabled_events": ["*"], "api_version": version}  # type: ignore[typeddict-item]
        )
    life(client)
    http = own.http()

    def delivered() -> bool:
        rows = http.get("/_sandbox/deliveries").json()["data"]
        return {row["status"] for row in rows} == {"succeeded"}

    receiver.until(delivered, 30)
    found: dict[str, list[dict[str, Any]]] = {}
    for request in receiver.requests:
        event = json.loads(request.body)
        found.setdefault(event["api_version"], []).append(event)
    return found


def test_each_endpoint_gets_every_event_in_its_own_shape(own: Running, receiver: Receiver) -> None:
    found = told(own, receiver, own.client())

    assert found.keys() == set(SERVED)
    assert len({tuple(sorted(event["id"] for event in events)) for events in found.values()}) == 1

    def one(version: str, kind: str) -> dict[str, Any]:
        return next(event for event in found[version] if event["type"] == kind)

    def body(version: str, kind: str) -> dict[str, Any]:
        shown = one(version, kind)["data"]["object"]
        assert isinstance(shown, dict)
        return shown

    before_basil = {version: version in (OLD, ACACIA) for version in SERVED}
    for version, flat in before_basil.items():
        invoice, subscription = body(version, "invoice.paid"), body(version, "customer.subscription.created")
        assert ("subscription" in invoice, "paid" in invoice, "parent" in invoice) == (flat, flat, not flat)
        assert ("current_period_end" in subscription) == flat
        assert ("invoice" in body(version, "payment_intent.succeeded")) == flat
        item = subscription["items"]["data"][0]
        assert ("current_period_end" in item) != flat
        changed = on_trial(found[version])
        assert ("current_period_end" in changed, "trial_end" in changed) == (flat, True)
    shapes = {
        version: (
            "coupon" in body(version, "promotion_code.created"),
            "features" in body(version, "product.created"),
            body(version, "checkout.session.expired")["ui_mode"],
        )
        for version in SERVED
    }
    assert shapes == {
        OLD: (True, True, "hosted"),
        ACACIA: (True, False, "hosted"),
        BASIL: (True, False, "hosted"),
        CLOVER: (False, False, "hosted"),
        stripe.api_version: (False, False, "hosted_page"),
    }


def test_a_version_that_is_not_rendered_is_refused(own: Running) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="clover"):
        own.client().v1.webhook_endpoints.create(
            {"url": "http://127.0.0.1:9", "enabled_events": ["*"], "api_version": "2019-02-19"}
        )

"""Webhooks: signed, retried, held back, repeated, and never lost with a killed process."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import stripe

from sandbox.process import Running, start
from sandbox.receiver import Receiver

FAST = ("--retry-first", "0.05", "--retry-longest", "0.1", "--retry-attempts", "4")
pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def own() -> Iterator[Running]:
    """A sandbox of the test's own."""
    sandbox = start(options=FAST)
    yield sandbox
    sandbox.stop()


def listen(
    sandbox: Running, receiver: Receiver, *types: str
) -> tuple[stripe.StripeClient, stripe.WebhookEndpoint]:
    """Register the receiver."""
    client = sandbox.client()
    endpoint = client.v1.webhook_endpoints.create(
        {"url": receiver.url, "enabled_events": list(types) or ["*"]}  # type: ignore[arg-type]
    )
    return client, endpoint


def test_deliveries_are_signed_for_the_official_sdk(own: Running, receiver: Receiver) -> None:
    client, endpoint = listen(own, receiver)
    assert endpoint.secret is not None

    customer = client.v1.customers.create({"name": "Ada"})
    receiver.wait(1)

    event = receiver.events(endpoint.secret)[0]
    assert (event.type, event.data.object["id"]) == ("customer.created", customer.id)
    assert json.loads(receiver.requests[0].body)["api_version"] == stripe.api_version
    with pytest.raises(stripe.SignatureVerificationError):
        receiver.events("whsec_" + "wrong")


def test_the_secret_is_shown_once(own: Running, receiver: Receiver) -> None:
    client, endpoint = listen(own, receiver)

    again = client.v1.webhook_endpoints.retrieve(endpoint.id)
    listed = client.v1.webhook_endpoints.list().data[0]

    assert str(endpoint.secret).startswith("whsec_")
    assert "secret" not in again
    assert "secret" not in listed


@pytest.mark.parametrize("refusal", [500, 404, 302, 307])
def test_everything_but_success_is_tried_again(own: Running, receiver: Receiver, refusal: int) -> None:
    receiver.answers = [refusal, refusal]
    client, _ = listen(own, receiver, "customer.created")

    client.v1.customers.create({"name": "Ada"})
    receiver.wait(3)

    bodies = {json.loads(request.body)["id"] for request in receiver.requests}
    assert len(bodies) == 1
    receiver.until(lambda: client.v1.events.list().data[0].pending_webhooks == 0)
    delivery = own.http().get("/_sandbox/deliveries").json()["data"][0]
    assert (delivery["status"], delivery["attempts"]) == ("succeeded", 3)


def test_after_the_last_attempt_the_event_counts_as_undelivered(own: Running, receiver: Receiver) -> None:
    receiver.answers = [500] * 10
    client, _ = listen(own, receiver)

    client.v1.customers.create({"name": "Ada"})
    receiver.wait(4)
    http = own.http()
    receiver.until(lambda: http.get("/_sandbox/deliveries").json()["data"][0]["status"] == "failed")

    lost = client.v1.events.list({"delivery_success": False})
    assert [event.type for event in lost.data] == ["customer.created"]
    assert lost.data[0].pending_webhooks == 1
    assert client.v1.events.list({"delivery_success": True}).data == []


def test_an_endpoint_gets_only_what_it_asked_for(own: Running, receiver: Receiver) -> None:
    client, endpoint = listen(own, receiver, "product.created")
    assert endpoint.secret is not None

    client.v1.customers.create({"name": "Ada"})
    client.v1.products.create({"name": "Starter"})
    receiver.wait(1)

    assert [event.type for event in receiver.events(endpoint.secret)] == ["product.created"]


def test_a_pause_holds_back_and_a_resume_lets_go(own: Running, receiver: Receiver) -> None:
    client, _ = listen(own, receiver)
    own.control("delivery/pause")
    client.v1.customers.create({"name": "Ada"})
    held = own.http().get("/_sandbox/deliveries").json()["data"][0]["status"]

    own.control("delivery/resume")
    receiver.wait(1)

    assert held == "pending"


def test_an_event_is_resent_many_times_at_once(own: Running, receiver: Receiver) -> None:
    client, _ = listen(own, receiver)
    client.v1.customers.create({"name": "Ada"})
    receiver.wait(1)
    event = client.v1.events.list().data[0]

    sent = own.control(f"events/{event.id}/resend", times=20)["sent"]

    assert isinstance(sent, dict)
    assert list(sent.values()) == [[200] * 20]
    assert {json.loads(request.body)["id"] for request in receiver.requests} == {event.id}
    assert len(receiver.requests) == 21


def test_an_endpoint_may_bring_its_own_secret(own: Running, receiver: Receiver) -> None:
    secret = "whsec_" + "chosen"
    own.control("webhook_endpoints", url=receiver.url, secret=secret)

    own.client().v1.customers.create({"name": "Ada"})
    receiver.wait(1)

    assert receiver.events(secret)[0].type == "customer.created"


def test_a_killed_sandbox_keeps_its_books_and_goes_on_delivering(tmp_path: Path, receiver: Receiver) -> None:
    store = tmp_path / "books.sqlite"
    first = start(store, options=FAST)
    client, endpoint = listen(first, receiver)
    first.control("delivery/pause")
    made = [client.v1.customers.create({"name": f"n{place}"}).id for place in range(20)]
    kept = client.v1.customers.create({"name": "kept"}, {"idempotency_key": "before-the-kill"})
    first.kill()

    second = start(store, options=FAST)
    client = second.client()
    try:
        again = client.v1.customers.create({"name": "kept"}, {"idempotency_key": "before-the-kill"})
        found = {customer.id for customer in client.v1.customers.list({"limit": 100}).data}
        second.control("delivery/resume")
        receiver.wait(21)
    finally:
        second.stop()

    assert again.id == kept.id
    assert found == {*made, kept.id}
    assert endpoint.secret is not None
    told = {event.data.object["id"] for event in receiver.events(endpoint.secret)}
    assert told == found

"""A customer on a test clock with plans to choose from: what the billing tests are played with.

Leaves what is expected to the tests.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import stripe

from sandbox.process import Running

DAY = 24 * 3600
HOUR = 3600
LEEWAY = 2 * HOUR
"""Long enough after the end of a period for its invoice to be final and charged."""


def at(text: str) -> int:
    """Return the seconds since 1970 of a date in UTC, at noon."""
    return int(datetime.fromisoformat(text).replace(hour=12, tzinfo=UTC).timestamp())


def day(seconds: int) -> str:
    """Return the date of a time."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


@dataclass
class Life:
    """One customer, one clock."""

    sandbox: Running
    client: stripe.StripeClient
    clock: str
    customer: str
    product: str

    @property
    def now(self) -> int:
        """The clock's time."""
        return self.client.v1.test_helpers.test_clocks.retrieve(self.clock).frozen_time

    def price(self, amount: int, interval: str = "month", currency: str = "usd") -> str:
        """Make a recurring price."""
        params: Any = {"product": self.product, "unit_amount": amount, "currency": currency}
        return self.client.v1.prices.create(params | {"recurring": {"interval": interval}}).id

    def subscribe(self, price: str, **more: Any) -> dict[str, Any]:
        """Subscribe the customer."""
        params: Any = {"customer": self.customer, "items": [{"price": price}]} | more
        return self.client.v1.subscriptions.create(params).to_dict()

    def subscription(self, subscription: dict[str, Any]) -> dict[str, Any]:
        """Return a subscription as it is now."""
        return self.client.v1.subscriptions.retrieve(subscription["id"]).to_dict()

    def update(self, subscription: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """Change a subscription."""
        params: Any = changes
        return self.client.v1.subscriptions.update(subscription["id"], params).to_dict()

    def invoices(self, subscription: dict[str, Any]) -> list[dict[str, Any]]:
        """Return all invoices of a subscription, oldest first."""
        found = self.client.v1.invoices.list({"subscription": subscription["id"], "limit": 100}).data
        return [invoice.to_dict() for invoice in reversed(found)]

    def pay_with(self, card: str) -> str:
        """Save a test card and make it the default."""
        method = self.client.v1.payment_methods.attach(card, {"customer": self.customer})
        self.client.v1.customers.update(
            self.customer, {"invoice_settings": {"default_payment_method": method.id}}
        )
        return method.id

    def until(self, moment: int) -> None:
        """Let the clock go to a time, and wait until it is there."""
        clocks = self.client.v1.test_helpers.test_clocks
        clocks.advance(self.clock, {"frozen_time": moment})
        self.settled(lambda: clocks.retrieve(self.clock).status == "ready")

    def later(self, seconds: int) -> None:
        """Let time pass."""
        self.until(self.now + seconds)

    def settled(self, true: Any) -> None:
        """Wait until something is true that happens in the background."""
        end = time.monotonic() + 50
        while not true():
            assert time.monotonic() < end, "it did not happen"
            time.sleep(0.02)

    def events(self, *types: str) -> list[dict[str, Any]]:
        """Return the events of this life, oldest first; of the given types, if any."""
        params: Any = {"limit": 100} | ({"types": list(types)} if types else {})
        found = []
        for event in self.client.v1.events.list(params).auto_paging_iter():
            body = event.to_dict()
            thing = body["data"]["object"]
            if self.customer in (thing.get("customer"), thing.get("id")):
                found.append(body)
        return list(reversed(found))

    def told(self, *types: str) -> list[str]:
        """Return the types of the events of this life, oldest first."""
        return [event["type"] for event in self.events(*types)]


def begin(sandbox: Running, client: stripe.StripeClient, start: str = "2026-01-31", **more: Any) -> Life:
    """Begin a life at a date; its customer pays with a good card unless told otherwise."""
    clock = client.v1.test_helpers.test_clocks.create({"frozen_time": at(start)})
    customer = client.v1.customers.create({"email": "ada@example.com", "test_clock": clock.id})
    product = client.v1.products.create({"name": "Plan"})
    life = Life(sandbox, client, clock.id, customer.id, product.id)
    card = more.get("card", "pm_card_visa")
    if card:
        life.pay_with(card)
    return life


@contextmanager
def settings(sandbox: Running, **wanted: object) -> Iterator[None]:
    """Set settings of the control desk for the length of a block."""
    before = sandbox.control("settings")
    sandbox.control("settings", **wanted)
    try:
        yield
    finally:
        sandbox.control("settings", **{name: before[name] for name in wanted})

"""A customer on a test clock, at a desk: what the stories of ``test_billing_conforms`` are played with."""

import time
from typing import Any

from contract.desk import Desk

START = 1775044800
"""1 April 2026, noon."""
DAY = 24 * 3600
URLS: dict[str, Any] = {"success_url": "http://127.0.0.1:9/done", "cancel_url": "http://127.0.0.1:9/back"}


class Player:
    """A customer on a test clock, at a desk."""

    def __init__(self, desk: Desk) -> None:
        """Make clock, customer with a good card, and two plans."""
        self.desk, self.client = desk, desk.stripe
        self.clock = self.client.test_helpers.test_clocks.create({"frozen_time": START, "name": "life"}).id
        card: Any = {"payment_method": "pm_card_visa"}
        settings: Any = {"invoice_settings": {"default_payment_method": "pm_card_visa"}}
        mail: Any = {"email": "kim@example.com", "name": "Kim", "test_clock": self.clock}
        self.customer = self.client.customers.create(mail | card | settings).id
        self.product = self.client.products.create({"name": "Plan"}).id
        self.cheap, self.dear = self.price(2000), self.price(5000)

    def price(self, amount: int, interval: str | None = "month") -> str:
        """Make a price."""
        params: Any = {"product": self.product, "currency": "usd", "unit_amount": amount}
        recurring: Any = {"recurring": {"interval": interval}} if interval else {}
        return self.client.prices.create(params | recurring).id

    def subscribe(self, price: str, **more: Any) -> dict[str, Any]:
        """Subscribe."""
        params: Any = {"customer": self.customer, "items": [{"price": price}]} | more
        return self.client.subscriptions.create(params).to_dict()

    def session(self, **more: Any) -> str:
        """Open a session in subscription mode."""
        line = {"price": self.cheap, "quantity": 1}
        params: Any = {"mode": "subscription", "customer": self.customer, "line_items": [line]} | URLS
        return self.client.checkout.sessions.create(params | more).id

    def card(self, name: str) -> str:
        """Save a card as the default."""
        method = self.client.payment_methods.attach(name, {"customer": self.customer}).id
        settings: Any = {"invoice_settings": {"default_payment_method": method}}
        self.client.customers.update(self.customer, settings)
        return method

    def later(self, days: int) -> None:
        """Let time pass on the clock."""
        clocks = self.client.test_helpers.test_clocks
        target = clocks.retrieve(self.clock).frozen_time + days * DAY
        clocks.advance(self.clock, {"frozen_time": target})
        self.wait(lambda: clocks.retrieve(self.clock).status == "ready")

    def wait(self, true: Any) -> None:
        """Wait for what happens in the background."""
        end = time.monotonic() + 50
        while not true():
            assert time.monotonic() < end
            time.sleep(0.05)

    def charge(self, card: str) -> str:
        """Take a payment."""
        params: Any = {"amount": 5000, "currency": "usd", "customer": self.customer, "confirm": True}
        return str(self.client.payment_intents.create(params | {"payment_method": card}).latest_charge)

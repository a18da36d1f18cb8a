"""Fixtures of the sandbox tests: a sandbox process, an SDK client, a shop with one price, a browser."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import stripe
from chromium import launch
from playwright.sync_api import Browser, Page, sync_playwright

from sandbox.process import Running, running
from sandbox.receiver import Receiver, receiving
from stripe_sandbox import spec

DESK = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Running]:
    """A sandbox for the whole session; at its end everything it holds must fit the types."""
    with running(options=("--retry-first", "0.05", "--retry-longest", "0.2")) as process:
        yield process
        faults: set[str] = set()
        raw = process.http()
        after = ""
        while True:
            page = raw.get("/v1/events", params=page_after(after)).json()
            faults.update(fault for event in page["data"] for fault in spec.check(event))
            if not page["has_more"]:
                break
            after = page["data"][-1]["id"]
        raw.close()
        assert faults == set()


def page_after(event_id: str) -> dict[str, str]:
    """Return the parameters of the next page of a hundred."""
    return {"limit": "100"} | ({"starting_after": event_id} if event_id else {})


@pytest.fixture(scope="session")
def client(sandbox: Running) -> stripe.StripeClient:
    """The official SDK."""
    return sandbox.client()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A webhook endpoint."""
    with receiving() as one:
        yield one


@dataclass
class Shop:
    """A sandbox with a customer and a price of 10.00 USD."""

    sandbox: Running
    client: stripe.StripeClient
    customer: str
    price: str

    def session(self, **changes: object) -> stripe.checkout.Session:
        """Open a checkout session for one piece, with an invoice for the receipt."""
        params: dict[str, object] = {
            "mode": "payment",
            "customer": self.customer,
            "line_items": [{"price": self.price, "quantity": 1}],
            "success_url": "https://shop.example/done?session={CHECKOUT_SESSION_ID}",
            "cancel_url": "https://shop.example/back",
            "invoice_creation": {"enabled": True},
        }
        merged = {key: value for key, value in (params | changes).items() if value is not None}
        return self.client.v1.checkout.sessions.create(merged)  # type: ignore[arg-type]

    def pay(self, session: stripe.checkout.Session, **how: object) -> dict[str, object]:
        """Pay a session without a browser."""
        return self.sandbox.control(f"checkout/sessions/{session.id}/pay", **how)

    def events_since(self, event_id: str) -> list[stripe.Event]:
        """Return what happened after an event, oldest first."""
        params = {"limit": 100, "ending_before": event_id}
        page = self.client.v1.events.list(params)  # type: ignore[arg-type]
        return list(reversed(page.data))

    def last_event(self) -> str:
        """Return the newest event's id."""
        return self.client.v1.events.list({"limit": 1}).data[0].id


@pytest.fixture
def shop(sandbox: Running, client: stripe.StripeClient) -> Shop:
    """A shop with one price."""
    customer = client.v1.customers.create({"email": "ada@example.com", "name": "Ada"})
    product = client.v1.products.create({"name": "Starter"})
    price = client.v1.prices.create({"product": product.id, "unit_amount": 1000, "currency": "usd"})
    return Shop(sandbox, client, customer.id, price.id)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    with sync_playwright() as playwright:
        started = launch(playwright)
        yield started
        started.close()


@pytest.fixture(params=[DESK, PHONE], ids=["desk", "phone"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of each size; anything the page logs as an error fails the test."""
    context = browser.new_context(viewport=request.param)
    one = context.new_page()
    one.set_default_timeout(10_000)
    problems: list[str] = []
    one.on("pageerror", lambda error: problems.append(str(error)))
    one.on(
        "console",
        lambda said: problems.append(said.text) if said.type == "error" else None,
    )
    yield one
    context.close()
    assert problems == []

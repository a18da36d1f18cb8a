"""The customer portal in a browser: leave and stay, another card, another plan, old invoices, and the way back."""

from typing import Any

import pytest
import stripe
from playwright.sync_api import Page, expect

from sandbox import life as playing
from sandbox.life import Life, at
from sandbox.process import Running

pytestmark = pytest.mark.timeout(120)
BACK = "https://shop.example/account"


@pytest.fixture
def life(sandbox: Running, client: stripe.StripeClient) -> Life:
    """A customer with a good card, on 1 April."""
    return playing.begin(sandbox, client, "2026-04-01")


def opened(life: Life, page: Page, **more: Any) -> None:
    """Open the portal."""
    params: Any = {"customer": life.customer, "return_url": BACK} | more
    session = life.client.v1.billing_portal.sessions.create(params)
    page.goto(session.url)


def test_a_customer_leaves_and_stays(life: Life, page: Page) -> None:
    subscription = life.subscribe(life.price(2000))
    opened(life, page)

    page.get_by_role("button", name="Cancel plan").click()
    expect(page.locator(".ends")).to_have_text("ends 01 May 2026")
    leaving = life.subscription(subscription)
    page.get_by_role("button", name="Keep plan").click()
    expect(page.locator(".renews")).to_have_text("renews 01 May 2026")

    assert leaving["cancel_at"] == at("2026-05-01")
    assert life.subscription(subscription)["cancel_at_period_end"] is False
    assert life.events("customer.subscription.updated")[-1]["request"]["id"] is None
    expect(page.locator("#return")).to_have_attribute("href", BACK)
    expect(page.locator(".invoice")).to_have_count(1)


def test_a_customer_changes_the_card(life: Life, page: Page) -> None:
    life.subscribe(life.price(2000))
    opened(life, page)

    page.fill("#cardNumber", "4000 0000 0000 0000")
    page.click("#add-card")
    expect(page.locator("#portal-error")).to_have_text("Your card number is incorrect.")
    page.fill("#cardNumber", "5555 5555 5555 4444")
    page.fill("#cardExpiry", "12/34")
    page.fill("#cardCvc", "123")
    page.click("#add-card")
    expect(page.locator(".method")).to_have_count(2)
    page.locator(".method", has_text="visa").get_by_role("button", name="Remove").click()

    expect(page.locator(".method")).to_have_count(1)
    (left,) = life.client.v1.customers.payment_methods.list(life.customer).data
    customer = life.client.v1.customers.retrieve(life.customer).to_dict()
    assert customer["invoice_settings"]["default_payment_method"] == left.id
    told = life.told("payment_method.*", "customer.updated")
    assert told[-3:] == ["payment_method.attached", "customer.updated", "payment_method.detached"] or told[
        -2:
    ] == ["payment_method.attached", "customer.updated"]


def test_a_customer_takes_another_plan_where_that_is_offered(life: Life, page: Page) -> None:
    cheap, dear = life.price(2000), life.price(5000)
    subscription = life.subscribe(cheap)
    update: Any = {
        "enabled": True,
        "default_allowed_updates": ["price"],
        "proration_behavior": "always_invoice",
        "products": [{"product": life.product, "prices": [cheap, dear]}],
    }
    configurations = life.client.v1.billing_portal.configurations
    made = configurations.create({"features": {"subscription_update": update}, "default_return_url": BACK})
    configurations.update(made.id, {"features": {"subscription_cancel": {"enabled": False}}})
    opened(life, page, configuration=made.id)

    expect(page.get_by_role("button", name="Cancel plan")).to_have_count(0)
    page.locator("select").select_option(dear)
    page.get_by_role("button", name="Change plan").click()

    expect(page.locator(".subscription")).to_contain_text("$50.00 per month")
    assert life.subscription(subscription)["items"]["data"][0]["price"]["id"] == dear
    assert life.invoices(subscription)[-1]["total"] == 3000


def test_nothing_of_another_customer_can_be_reached(life: Life, sandbox: Running, client: Any) -> None:
    other = playing.begin(sandbox, client, "2026-04-01")
    foreign = other.subscribe(other.price(2000))
    session = life.client.v1.billing_portal.sessions.create({"customer": life.customer})

    with sandbox.http("") as http:
        data = {"action": "cancel", "subscription": foreign["id"]}
        answer = http.post(session.url, data=data, follow_redirects=True)
        nowhere = http.get(session.url + "x")

    assert "This is not yours." in answer.text
    assert nowhere.status_code == 404
    assert other.subscription(foreign)["cancel_at_period_end"] is False

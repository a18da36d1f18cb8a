"""A bank wants to see the customer whose wallet is topped up by itself: they are told, go there, and come back."""

from __future__ import annotations

import os
import time
from typing import Any

from playwright.sync_api import Page, expect
from running_service import EMAIL, PASSWORD, Running

ASKS_EACH_TIME = "pm_card_authenticationRequired"


def house_session(running: Running) -> dict[str, str]:
    """The customer, signed in to Tallybook itself."""
    answer = running.http().post(
        "/v1/sessions",
        json={"email": EMAIL, "password": PASSWORD},
        headers={"Idempotency-Key": os.urandom(8).hex()},
    )
    return {"Authorization": f"Bearer {answer.json()['session_token']}"}


def waiting_top_up(running: Running) -> dict[str, Any]:
    """Save a card whose bank always asks, set a rule, and wait for the announcement."""
    client = running.http(**house_session(running))
    setup = client.post("/v1/setup-intents", json={}, headers={"Idempotency-Key": "save"}).json()
    intent = setup["stripe_setup_intent_id"]
    running.sandbox.http().post(
        f"/v1/setup_intents/{intent}/confirm",
        data={"payment_method": ASKS_EACH_TIME, "return_url": "https://yourapp.com/"},
    )
    running.sandbox.control(f"setup_intents/{intent}/authenticate")
    rule = {"threshold_micro": 5_000_000, "price": "pack_100", "monthly_cap_minor": 5000}
    assert client.put("/v1/top-up", json=rule).status_code == 200
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for told in client.get("/v1/announcements").json()["data"]:
            if told["kind"] == "top_up.needs_action":
                found = told["facts"]
                assert isinstance(found, dict)
                return found
        time.sleep(0.2)
    raise AssertionError("nothing was announced")


def test_a_customer_completes_a_top_up_at_their_bank(customer: Page, running: Running) -> None:
    told = waiting_top_up(running)
    assert running.balance() == 0

    customer.goto(told["complete_url"])
    expect(customer.locator("#price")).to_have_text("10.00 USD")
    customer.locator("#complete").click()
    customer.locator("#threeds-complete").click()

    expect(customer.locator("#bought")).to_have_text("100")
    assert running.balance() == 100_000_000

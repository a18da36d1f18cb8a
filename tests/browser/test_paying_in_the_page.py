"""An app's own page takes the money with the payment form's script; the credits come once, from what Stripe says."""

from __future__ import annotations

import time

from playwright.sync_api import Page, expect
from running_service import Running
from sandbox.merchant import CONFIRM, bank, fields, fill, merchant


def open_form(running: Running, key: str) -> tuple[str, str]:
    """Open a payment of a hundred credits; gives its number and the secret for the page."""
    wish = {"price": "pack_100", "user_id": running.user_id}
    made = running.as_app().post("/v1/payment-intents", json=wish, headers={"Idempotency-Key": key})
    assert made.status_code == 201, made.text
    return made.json()["id"], made.json()["client_secret"]


def await_credits(running: Running, micro: int) -> None:
    """Wait for the webhook; nobody asks about the payment meanwhile."""
    deadline = time.monotonic() + 60
    while running.balance() != micro:
        assert time.monotonic() < deadline, running.balance()
        time.sleep(0.1)


def test_a_page_pays_with_the_payment_element_and_the_credits_come_once(page: Page, running: Running) -> None:
    number, secret = open_form(running, "order-1")
    with merchant() as shop:
        page.goto(shop.form(running.sandbox.base_url, CONFIRM, clientSecret=secret))
        fill(fields(page), "4000000000000002")
        page.locator("#pay").click()
        expect(page.locator("#message")).to_contain_text("card_declined")
        assert running.balance() == 0
        fill(fields(page), "4000002500003155")
        page.locator("#pay").click()
        bank(page).get_by_role("button", name="Complete").click()
        page.wait_for_url(f"{shop.url}/done**redirect_status=succeeded")
    await_credits(running, 100_000_000)

    asked = running.as_app().get(f"/v1/payment-intents/{number}")
    assert asked.json()["status"] == "succeeded", asked.text
    intent = secret.partition("_secret_")[0]
    events = running.sandbox.client().v1.events.list({"type": "payment_intent.succeeded", "limit": 100}).data
    [paid] = [event.id for event in events if event.data.object["id"] == intent]
    running.sandbox.control(f"events/{paid}/resend", times=5)

    assert running.balance() == 100_000_000


def test_a_failed_question_of_the_bank_brings_no_credits(page: Page, running: Running) -> None:
    number, secret = open_form(running, "order-2")
    with merchant() as shop:
        page.goto(shop.form(running.sandbox.base_url, CONFIRM, clientSecret=secret))
        fill(fields(page), "4000002500003155")
        page.locator("#pay").click()
        bank(page).get_by_role("button", name="Fail").click()
        expect(page.locator("#message")).to_contain_text("payment_intent_authentication_failure")

    asked = running.as_app().get(f"/v1/payment-intents/{number}")
    assert asked.json()["status"] == "open", asked.text
    assert running.balance() == 0

"""Somebody follows a link for paying, without an account, on a desktop and a phone."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect
from running_service import Running

PHONE = {"width": 360, "height": 740}


@pytest.fixture
def refusal(running: Running) -> dict[str, Any]:
    """A spend of two hundred credits that the wallet lacks."""
    body = {"user_id": running.user_id, "amount_micro": 250_500_000}
    answer = running.as_app().post("/v1/transfers", json=body, headers={"Idempotency-Key": "job"})
    assert answer.status_code == 402
    found = answer.json()
    assert isinstance(found, dict)
    return found


def pay(page: Page) -> None:
    page.locator("#cardNumber").fill("4242 4242 4242 4242")
    page.locator("#cardExpiry").fill("12 / 34")
    page.locator("#cardCvc").fill("123")
    page.locator("#billingName").fill("A Friend")
    page.locator("#billingPostalCode").fill("12345")
    page.locator("#submit").click()


@pytest.mark.parametrize("size", [None, PHONE])
def test_a_stranger_pays_and_the_job_goes_on(
    page: Page, running: Running, refusal: dict[str, Any], size: Any
) -> None:
    if size:
        page.set_viewport_size(size)

    page.goto(refusal["pay_url"])
    expect(page.locator("#shortfall")).to_have_text("250.5")
    assert page.evaluate("document.documentElement.scrollWidth") <= (size or {"width": 1100})["width"]
    expect(page.locator("li.card").first).to_contain_text("Starter")
    expect(page.locator("li.card", has_text="2 x 250 Credits")).to_contain_text("500 credits")
    page.locator("#pay-pack_250").click()
    page.wait_for_url("**/c/pay/**")
    pay(page)

    page.wait_for_url("**/pay/tbp_*/done?session_id=cs_**")
    expect(page.locator("#bought")).to_have_text("500")
    assert page.context.cookies() == []
    resumed = running.as_app().post(
        "/v1/transfers",
        json={"user_id": running.user_id, "amount_micro": 250_500_000},
        headers={"Idempotency-Key": "job", "Resume-Token": refusal["resume_token"]},
    )
    assert resumed.status_code == 201
    assert running.balance() == 249_500_000


def test_who_cancels_is_back_on_the_link_and_the_same_button_leads_to_the_same_checkout(
    page: Page, running: Running, refusal: dict[str, Any]
) -> None:
    page.goto(refusal["pay_url"])
    page.locator("#pay-package_starter").click()
    page.wait_for_url("**/c/pay/**")
    first = page.url

    page.locator("#cancel").click()
    page.wait_for_url("**/pay/tbp_*")
    page.locator("#pay-package_starter").click()
    page.wait_for_url("**/c/pay/**")

    assert page.url == first
    assert running.balance() == 0


def test_a_link_that_was_copied_badly_says_so(page: Page, refusal: dict[str, Any]) -> None:
    page.goto(refusal["pay_url"][:-3])

    expect(page.get_by_role("heading", name="This link cannot be used")).to_be_visible()
    expect(page.locator("#code")).to_have_text("pay_link_invalid")

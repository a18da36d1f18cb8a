"""A customer in a browser: buys the Starter package on the hosted page, is declined, passes and fails 3-D Secure."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from running_service import EMAIL, Running

PAYS = "4242 4242 4242 4242"
DECLINED = "4000 0000 0000 0002"
THREE_D_SECURE = "4000 0025 0000 3155"


def buy_starter(page: Page) -> None:
    page.locator("#buy-package_starter").click()
    page.wait_for_url("**/c/pay/**")


def pay(page: Page, card: str) -> None:
    page.locator("#cardNumber").fill(card)
    page.locator("#cardExpiry").fill("12 / 34")
    page.locator("#cardCvc").fill("123")
    page.locator("#billingName").fill("Ada Lovelace")
    page.locator("#billingPostalCode").fill("12345")
    page.locator("#submit").click()


def test_a_customer_buys_the_starter_package_and_sees_a_thousand_credits(
    customer: Page, running: Running
) -> None:
    expect(customer.locator("#balance")).to_have_text("0")

    buy_starter(customer)
    pay(customer, PAYS)

    customer.wait_for_url("**/credits/success?session_id=cs_**")
    expect(customer.locator("#bought")).to_have_text("1,000")
    expect(customer.locator("#balance")).to_have_text("1,000")
    assert running.balance() == 1_000_000_000


def test_a_declined_card_changes_nothing_and_another_card_pays(customer: Page, running: Running) -> None:
    buy_starter(customer)

    pay(customer, DECLINED)

    expect(customer.locator("#payment-error")).to_contain_text("declined")
    assert running.balance() == 0
    pay(customer, PAYS)
    expect(customer.locator("#bought")).to_have_text("1,000")


def test_three_d_secure_passes_when_it_is_completed(customer: Page, running: Running) -> None:
    buy_starter(customer)

    pay(customer, THREE_D_SECURE)
    customer.locator("#threeds-complete").click()

    expect(customer.locator("#balance")).to_have_text("1,000")
    assert running.balance() == 1_000_000_000


def test_three_d_secure_that_fails_changes_nothing(customer: Page, running: Running) -> None:
    buy_starter(customer)

    pay(customer, THREE_D_SECURE)
    customer.locator("#threeds-fail").click()

    expect(customer.locator("#payment-error")).to_be_visible()
    assert running.balance() == 0


def test_cancel_returns_and_charges_nothing(customer: Page, running: Running) -> None:
    buy_starter(customer)

    customer.locator("#cancel").click()

    customer.wait_for_url("**/credits?cancelled=1")
    expect(customer.locator("#cancelled")).to_contain_text("Nothing was charged")
    assert running.balance() == 0


def test_a_wrong_password_says_so_and_an_unknown_address_says_the_same(page: Page, running: Running) -> None:
    said = []
    for email in (EMAIL, "nobody@example.com"):
        page.goto(f"{running.base_url}/login")
        page.locator("#email").fill(email)
        page.locator("#password").fill("not the password")
        page.locator("#sign-in").click()
        said.append(page.locator("#problem").inner_text())

    assert said == ["Invalid email or password"] * 2


@pytest.mark.parametrize("path", ["/credits", "/credits/success?session_id=cs_test_x"])
def test_pages_of_a_customer_ask_a_stranger_to_sign_in(page: Page, running: Running, path: str) -> None:
    page.goto(running.base_url + path)

    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_signing_out_ends_the_session(customer: Page, running: Running) -> None:
    cookies = customer.context.cookies()

    customer.get_by_role("button", name="Sign out").click()
    customer.context.add_cookies(cookies)  # type: ignore[arg-type]
    customer.goto(f"{running.base_url}/credits")

    expect(customer.get_by_role("heading", name="Sign in")).to_be_visible()


def test_nothing_on_a_phone_is_wider_than_the_screen(customer: Page) -> None:
    customer.set_viewport_size({"width": 360, "height": 740})

    customer.reload()

    width = customer.evaluate("document.documentElement.scrollWidth")
    assert width <= 360

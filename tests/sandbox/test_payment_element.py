"""The stand-in for Stripe.js in a real browser, on a desk and on a phone: cards, declines, 3-D Secure, saved cards."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Page, expect

from sandbox.conftest import Shop
from sandbox.merchant import CONFIRM, DEFERRED, STAY, Merchant, bank, fields, fill, intent, merchant, now

pytestmark = pytest.mark.timeout(120)

SETUP = "stripe.confirmSetup({elements, redirect: 'if_required', confirmParams: {return_url: given.back}})"
CARD = "stripe.confirmCardPayment(location.hash.slice(1), {payment_method: {card: element}})"


@pytest.fixture(scope="module")
def store() -> Iterator[Merchant]:
    """The shop's own pages."""
    with merchant() as one:
        yield one


def test_a_buyer_pays_and_comes_back_with_the_intent_in_the_address(
    shop: Shop, page: Page, store: Merchant
) -> None:
    made = intent(shop)
    page.goto(store.form(shop.sandbox.base_url, CONFIRM, clientSecret=made.client_secret))
    fill(fields(page), "4242424242424242")
    expect(fields(page).get_by_label("Card number")).to_have_value("4242 4242 4242 4242")
    expect(fields(page).get_by_label("Expiration date")).to_have_value("12 / 34")

    page.get_by_role("button", name="Pay").click()

    page.wait_for_url(f"{store.url}/done**")
    assert parse_qs(urlsplit(page.url).query) == {
        "order": ["7"],
        "payment_intent": [made.id],
        "payment_intent_client_secret": [made.client_secret],
        "redirect_status": ["succeeded"],
    }
    assert now(shop, made).status == "succeeded"


def test_a_buyer_stays_where_no_redirect_is_needed(shop: Shop, page: Page, store: Merchant) -> None:
    made, before = intent(shop), shop.last_event()
    page.goto(store.form(shop.sandbox.base_url, STAY, clientSecret=made.client_secret))
    fill(fields(page), "4242424242424242")

    fields(page).get_by_label("Security code").press("Enter")

    expect(page.locator("#message")).to_have_text("succeeded")
    told = [event for event in shop.events_since(before) if event.data.object["id"] == made.id]
    assert [event.type for event in told] == ["payment_intent.succeeded"]
    assert told[0].request is not None
    assert told[0].request.id is not None


def test_a_declined_card_is_said_and_another_one_pays(shop: Shop, page: Page, store: Merchant) -> None:
    made = intent(shop)
    page.goto(store.form(shop.sandbox.base_url, STAY, clientSecret=made.client_secret))
    fill(fields(page), "4000000000000002")
    page.locator("#pay").click()
    expect(page.locator("#message")).to_have_text("card_declined: Your card was declined.")
    assert now(shop, made).last_payment_error.code == "card_declined"

    fill(fields(page), "5555555555554444")
    page.locator("#pay").click()

    expect(page.locator("#message")).to_have_text("succeeded")
    assert now(shop, made).status == "succeeded"


@pytest.mark.parametrize("passes", [True, False], ids=["passes", "fails"])
def test_the_bank_asks_in_a_dialog(shop: Shop, page: Page, store: Merchant, *, passes: bool) -> None:
    made = intent(shop)
    page.goto(store.form(shop.sandbox.base_url, CONFIRM, clientSecret=made.client_secret))
    fill(fields(page), "4000002500003155")
    page.locator("#pay").click()
    expect(bank(page).locator("#amount")).to_have_text("$10.00")
    assert now(shop, made).status == "requires_action"

    bank(page).get_by_role("button", name="Complete" if passes else "Fail").click()

    if passes:
        page.wait_for_url(f"{store.url}/done**redirect_status=succeeded")
    else:
        expect(page.locator("#message")).to_contain_text(
            "payment_intent_authentication_failure: We are unable"
        )
        expect(page.locator("dialog")).to_have_count(0)
    assert now(shop, made).status == ("succeeded" if passes else "requires_payment_method")


@pytest.mark.parametrize(
    ("number", "expiry", "cvc", "said", "label"),
    [
        ("424242424242", "1234", "123", "incomplete_number: Your card number is incomplete.", "Card number"),
        ("4242424242424241", "1234", "123", "invalid_number: Your card number is invalid.", "Card number"),
        ("4242424242424242", "1220", "123", "invalid_expiry_year_past: Your card's", "Expiration date"),
        ("4242424242424242", "1", "123", "incomplete_expiry: Your card's", "Expiration date"),
        ("4242424242424242", "1234", "1", "incomplete_cvc: Your card's", "Security code"),
    ],
)
def test_what_is_incomplete_is_pointed_out_and_sent_to_nobody(
    shop: Shop, page: Page, store: Merchant, number: str, expiry: str, cvc: str, said: str, label: str
) -> None:
    made = intent(shop)
    page.goto(store.form(shop.sandbox.base_url, STAY, clientSecret=made.client_secret))
    fill(fields(page), number, expiry=expiry, cvc=cvc)

    page.locator("#pay").click()

    expect(page.locator("#message")).to_contain_text(said)
    wrong = fields(page).get_by_label(label)
    expect(wrong).to_have_attribute("aria-invalid", "true")
    expect(wrong).to_be_focused()
    expect(fields(page).get_by_role("alert").filter(visible=True)).to_contain_text(said.partition(": ")[2])
    assert now(shop, made).status == "requires_payment_method"
    assert now(shop, made).last_payment_error is None


def test_a_field_that_is_left_for_the_button_does_not_move_it_away(
    shop: Shop, page: Page, store: Merchant
) -> None:
    page.goto(store.form(shop.sandbox.base_url, STAY, clientSecret=intent(shop).client_secret))
    fill(fields(page), "4242424242424242", cvc="1")
    before = page.locator("#pay").bounding_box()
    page.locator("#pay").hover()

    page.mouse.down()
    page.wait_for_function("heard.some(([name]) => name === 'blur')")
    fields(page).locator("body").evaluate("() => new Promise((drawn) => requestAnimationFrame(drawn))")
    page.wait_for_function("() => new Promise((drawn) => requestAnimationFrame(() => drawn(true)))")

    assert page.locator("#pay").bounding_box() == before
    page.mouse.up()
    expect(page.locator("#message")).to_contain_text("incomplete_cvc")


@pytest.mark.parametrize("number", ["4242424242424242", "4000002500003155"], ids=["plain", "asks"])
def test_a_card_is_saved_without_a_payment(shop: Shop, page: Page, store: Merchant, number: str) -> None:
    made = shop.client.v1.setup_intents.create({"customer": shop.customer})
    page.goto(store.form(shop.sandbox.base_url, SETUP, clientSecret=made.client_secret))
    fill(fields(page), number)

    page.locator("#pay").click()
    if number.endswith("3155"):
        bank(page).get_by_role("button", name="Complete").click()

    expect(page.locator("#message")).to_have_text("succeeded")
    saved = shop.client.v1.customers.payment_methods.list(shop.customer).data
    assert [one.card.last4 for one in saved if one.card] == [number[-4:]]


def test_the_form_stands_before_there_is_an_intent(shop: Shop, page: Page, store: Merchant) -> None:
    made = intent(shop)
    mode: dict[str, Any] = {"mode": "payment", "amount": 1000, "currency": "usd"}
    page.goto(store.form(shop.sandbox.base_url, DEFERRED, **mode) + f"#{made.client_secret}")
    page.locator("#pay").click()
    expect(page.locator("#message")).to_contain_text("incomplete_number")
    fill(fields(page), "4242424242424242")

    page.locator("#pay").click()

    expect(page.locator("#message")).to_have_text("succeeded")
    assert now(shop, made).status == "succeeded"


def test_the_card_element_pays_too(shop: Shop, page: Page, store: Merchant) -> None:
    made = intent(shop)
    page.goto(store.form(shop.sandbox.base_url, CARD, kind="card") + f"#{made.client_secret}")
    fill(fields(page, "Secure card payment input frame"), "4242424242424242")
    expect(page.locator("#element")).to_have_class(
        "StripeElement StripeElement--focus StripeElement--complete"
    )

    page.locator("#pay").click()

    expect(page.locator("#message")).to_have_text("succeeded")
    changes = [told for name, told in page.evaluate("heard") if name == "change"]
    assert changes[-1]["complete"] is True
    assert changes[-1]["brand"] == "visa"


def test_a_payment_that_the_server_confirmed_is_finished_in_the_page(
    shop: Shop, page: Page, store: Merchant
) -> None:
    made = intent(
        shop, payment_method="pm_card_threeDSecure2Required", confirm=True, return_url="https://shop.example/"
    )
    page.goto(store.form(shop.sandbox.base_url, STAY, clientSecret=made.client_secret))

    page.evaluate(
        "secret => { window.ended = stripe.handleNextAction({clientSecret: secret}); }", made.client_secret
    )
    bank(page).get_by_role("button", name="Complete").click()

    assert page.evaluate("ended.then(({paymentIntent}) => paymentIntent.status)") == "succeeded"


def test_a_page_sees_no_digits_and_none_of_the_shops_secrets(shop: Shop, page: Page, store: Merchant) -> None:
    made = intent(shop)
    page.goto(store.form(shop.sandbox.base_url, STAY, clientSecret=made.client_secret))
    fill(fields(page), "4242424242424242")

    heard = page.evaluate("JSON.stringify(heard)")
    inside = page.evaluate("document.querySelector('iframe').contentDocument")
    seen = page.evaluate("secret => stripe.retrievePaymentIntent(secret)", made.client_secret)

    assert '"complete":true' in heard
    assert "4242" not in heard + page.content()
    assert inside is None
    assert seen["paymentIntent"]["id"] == made.id
    assert {"customer", "metadata", "latest_charge"} & seen["paymentIntent"].keys() == set()


def test_nothing_hangs_over_the_edge_or_is_cut_off(shop: Shop, page: Page, store: Merchant) -> None:
    page.goto(store.form(shop.sandbox.base_url, STAY, clientSecret=intent(shop).client_secret))
    page.locator("#pay").click()
    expect(fields(page).get_by_role("alert").filter(visible=True)).to_have_count(3)

    page.wait_for_function("document.querySelector('#element iframe').offsetHeight > 200")
    frame = page.locator("#element iframe").element_handle()
    assert frame is not None
    inside = frame.content_frame()
    assert inside is not None
    inside.wait_for_function("document.documentElement.scrollHeight <= window.innerHeight")
    inside.wait_for_function("document.documentElement.scrollWidth <= window.innerWidth")
    viewport = page.viewport_size
    assert viewport is not None
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


def test_a_page_that_names_stripes_own_address_gets_it_from_a_browser_that_is_told_so(
    shop: Shop, page: Page, store: Merchant
) -> None:
    made = intent(shop)
    script = httpx.get(f"{shop.sandbox.base_url}/endive/stripe.js").text
    page.route(
        "https://js.stripe.com/**", lambda route: route.fulfill(body=script, content_type="text/javascript")
    )
    address = "https://js.stripe.com/endive/stripe.js"
    page.goto(store.form(shop.sandbox.base_url, STAY, script=address, clientSecret=made.client_secret))
    fill(fields(page), "4242424242424242")

    page.locator("#pay").click()

    expect(page.locator("#message")).to_have_text("succeeded")

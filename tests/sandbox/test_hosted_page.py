"""The hosted checkout page in a real browser, on a desk and on a phone."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page, expect

from sandbox.conftest import Shop

pytestmark = pytest.mark.timeout(120)


@contextmanager
def merchant() -> Iterator[str]:
    """Serve the shop's own pages, where the buyer comes back to."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<!doctype html><link rel=icon href=data:,><h1>Shop</h1>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep the test output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def shop_url() -> Iterator[str]:
    """Where the shop's pages are."""
    with merchant() as url:
        yield url


def opened(shop: Shop, page: Page, shop_url: str, **changes: object) -> str:
    """Open a session's page and return the session's id."""
    session = shop.session(
        success_url=shop_url + "/done?session={CHECKOUT_SESSION_ID}",
        cancel_url=shop_url + "/back",
        **changes,
    )
    assert session.url is not None
    page.goto(session.url)
    return session.id


def fill(page: Page, number: str, *, expiry: str = "1234", cvc: str = "123") -> None:
    """Type as a person does, key by key, finding the fields by their labels."""
    page.get_by_label("Card number").fill("")
    page.get_by_label("Card number").press_sequentially(number)
    page.get_by_label("Expiry").fill("")
    page.get_by_label("Expiry").press_sequentially(expiry)
    page.get_by_label("CVC").fill(cvc)
    page.get_by_label("Name on card").fill("Ada Lovelace")
    page.get_by_label("ZIP").fill("12345")


def test_a_buyer_pays_and_comes_back(shop: Shop, page: Page, shop_url: str) -> None:
    session_id = opened(shop, page, shop_url)
    expect(page.locator("#sandbox-marker")).to_contain_text("Sandbox \u2013 no real money")
    expect(page.locator("#total")).to_have_text("$10.00")
    fill(page, "4242424242424242")
    expect(page.locator("#cardNumber")).to_have_value("4242 4242 4242 4242")
    expect(page.locator("#cardExpiry")).to_have_value("12 / 34")

    page.get_by_role("button", name="Pay $10.00").click()

    page.wait_for_url(f"{shop_url}/done?session={session_id}")
    paid = shop.client.v1.checkout.sessions.retrieve(session_id)
    assert paid.payment_status == "paid"
    assert paid.customer_details is not None
    assert paid.customer_details.name == "Ada Lovelace"


def test_nothing_hangs_over_the_edge(shop: Shop, page: Page, shop_url: str) -> None:
    opened(shop, page, shop_url)
    page.get_by_text("Test cards", exact=True).click()

    width = page.evaluate("document.documentElement.scrollWidth")

    viewport = page.viewport_size
    assert viewport is not None
    assert width <= viewport["width"]


def test_a_decline_is_shown_and_another_card_pays(shop: Shop, page: Page, shop_url: str) -> None:
    session_id = opened(shop, page, shop_url)
    fill(page, "4000000000000002")
    page.locator("#submit").click()
    expect(page.locator("#payment-error")).to_have_text("Your card was declined.")
    assert shop.client.v1.checkout.sessions.retrieve(session_id).status == "open"

    fill(page, "4242424242424242")
    page.locator("#submit").click()

    page.wait_for_url(f"{shop_url}/done**")


@pytest.mark.parametrize(
    ("number", "expiry", "cvc", "message", "field"),
    [
        ("4242424242424241", "1234", "123", "Your card number is incorrect.", "cardNumber"),
        ("4242424242424242", "0120", "123", "expiration year is invalid", "cardExpiry"),
        ("4242424242424242", "1", "123", "expiration date is incomplete", "cardExpiry"),
        ("4242424242424242", "1234", "1", "security code is invalid", "cardCvc"),
    ],
)
def test_bad_input_is_pointed_out(
    shop: Shop, page: Page, shop_url: str, number: str, expiry: str, cvc: str, message: str, field: str
) -> None:
    session_id = opened(shop, page, shop_url)
    fill(page, number, expiry=expiry, cvc=cvc)

    page.locator("#submit").click()

    expect(page.locator("#payment-error")).to_contain_text(message)
    expect(page.locator(f"#{field}")).to_have_attribute("aria-invalid", "true")
    expect(page.locator(f"#{field}")).to_be_focused()
    assert shop.client.v1.checkout.sessions.retrieve(session_id).payment_intent is None


@pytest.mark.parametrize("passes", [True, False], ids=["passes", "fails"])
def test_the_bank_asks_and_the_buyer_chooses(shop: Shop, page: Page, shop_url: str, *, passes: bool) -> None:
    session_id = opened(shop, page, shop_url)
    fill(page, "4000002500003155")
    page.locator("#submit").click()
    page.wait_for_url("**/3ds/**")

    page.locator("#threeds-complete" if passes else "#threeds-fail").click()

    if passes:
        page.wait_for_url(f"{shop_url}/done**")
    else:
        expect(page.locator("#payment-error")).to_contain_text("unable to authenticate")
    status = shop.client.v1.checkout.sessions.retrieve(session_id).payment_status
    assert status == ("paid" if passes else "unpaid")


def test_cancel_goes_back(shop: Shop, page: Page, shop_url: str) -> None:
    session_id = opened(shop, page, shop_url)

    page.locator("#cancel").click()

    page.wait_for_url(f"{shop_url}/back")
    assert shop.client.v1.checkout.sessions.retrieve(session_id).status == "open"


def test_a_bank_debit_needs_no_card(shop: Shop, page: Page, shop_url: str) -> None:
    session_id = opened(shop, page, shop_url)
    page.locator("#method-bank").check()
    expect(page.locator("#cardNumber")).to_be_hidden()

    page.locator("#submit").click()

    page.wait_for_url(f"{shop_url}/done**")
    done = shop.client.v1.checkout.sessions.retrieve(session_id)
    assert (done.status, done.payment_status) == ("complete", "unpaid")


def test_a_free_order_asks_for_no_card(shop: Shop, page: Page, shop_url: str) -> None:
    free = {"currency": "usd", "unit_amount": 0, "product_data": {"name": "Gift"}}
    session_id = opened(shop, page, shop_url, customer=None, line_items=[{"price_data": free, "quantity": 1}])
    expect(page.locator("#cardNumber")).to_have_count(0)
    page.get_by_label("Email").fill("grace@example.com")

    page.get_by_role("button", name="Complete order").click()

    page.wait_for_url(f"{shop_url}/done**")
    done = shop.client.v1.checkout.sessions.retrieve(session_id)
    assert done.payment_status == "no_payment_required"


def test_paid_and_expired_pages_say_so(shop: Shop, page: Page, shop_url: str) -> None:
    paid, expired = shop.session(cancel_url=f"{shop_url}/back"), shop.session()
    shop.pay(paid)
    shop.client.v1.checkout.sessions.expire(expired.id)

    page.goto(str(paid.url))
    expect(page.locator("#notice-title")).to_have_text("Payment complete")
    page.goto(str(expired.url))
    expect(page.locator("#notice-title")).to_have_text("This page has expired")


def test_invoice_and_receipt_can_be_read(shop: Shop, page: Page) -> None:
    session = shop.session()
    shop.pay(session)
    params = {"expand": ["invoice", "payment_intent.latest_charge"]}
    paid = shop.client.v1.checkout.sessions.retrieve(session.id, params).to_dict()  # type: ignore[arg-type]

    page.goto(paid["invoice"]["hosted_invoice_url"])
    expect(page.locator("#invoice-status")).to_have_text("paid")
    expect(page.locator("#total")).to_have_text("$10.00")
    page.goto(paid["payment_intent"]["latest_charge"]["receipt_url"])
    expect(page.locator("#total")).to_have_text("$10.00")


def test_the_form_works_without_its_script(shop: Shop, browser: Browser, shop_url: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    opened(shop, page, shop_url)
    page.fill("#cardNumber", "4000 0000 0000 0002")
    page.fill("#cardExpiry", "12/34")
    page.fill("#cardCvc", "123")
    page.fill("#billingName", "Ada")
    page.locator("#submit").click()
    expect(page.locator("#payment-error")).to_have_text("Your card was declined.")
    expect(page.locator("#cardNumber")).to_have_value("")
    page.fill("#cardNumber", "4242 4242 4242 4242")
    page.fill("#cardCvc", "123")

    page.locator("#submit").click()

    page.wait_for_url(f"{shop_url}/done**")
    context.close()

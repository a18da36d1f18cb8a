"""The sandbox's pages in a real browser, on a desk and on a phone: look, deliver again, let time pass, set faults."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from sandbox.process import Running, start
from sandbox.receiver import Receiver

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def own() -> Iterator[Running]:
    """A sandbox of the test's own."""
    sandbox = start(options=("--retry-first", "0.05", "--retry-longest", "0.1"))
    yield sandbox
    sandbox.stop()


def fits(page: Page) -> bool:
    """Whether nothing needs scrolling sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def test_an_empty_sandbox_says_so_on_every_page(own: Running, page: Page) -> None:
    page.goto(own.base_url)

    expect(page.get_by_role("heading", name="Stripe sandbox")).to_be_visible()
    expect(page.get_by_text("Nothing has happened yet.")).to_be_visible()
    for link, words in (
        ("Events", "There is no event here."),
        ("Deliveries", "No deliveries."),
        ("Endpoints", "There is no webhook_endpoint here."),
        ("Test clocks", "There is no test_helpers.test_clock here."),
        ("Fault desk", "All requests are answered."),
    ):
        page.get_by_role("navigation").get_by_role("link", name=link).click()
        expect(page.get_by_text(words)).to_be_visible()
        assert fits(page)


def test_an_event_is_looked_at_and_delivered_again(own: Running, receiver: Receiver, page: Page) -> None:
    receiver.answers = [500]
    endpoint = own.control("webhook_endpoints", url=receiver.url, secret="whsec_" + "of_the_view")
    name = '<b>Ada</b> & "Co"'
    customer = own.http().post("/v1/customers", data={"name": name}).json()["id"]
    receiver.wait(2)

    page.goto(own.base_url)
    page.get_by_role("link", name="customer", exact=True).click()
    page.get_by_role("link", name=customer).click()
    expect(page.locator("#body")).to_contain_text('"<b>Ada</b> & \\"Co\\""')
    assert fits(page)
    page.locator(".rows a").first.click()
    expect(page.locator(".delivery")).to_contain_text("2 attempts")
    expect(page.locator(".delivery")).to_contain_text("200")
    expect(page.locator(".attempt .error")).to_have_text("500")
    assert fits(page)
    page.locator(".delivery").get_by_role("button", name="Deliver again").click()
    expect(page.locator("#said")).to_have_text("Delivered again; answered 200.")
    expect(page.locator(".attempt").first).to_contain_text("again")

    assert len(receiver.requests) == 3
    assert "of_the_view" not in page.content()
    page.get_by_role("link", name=receiver.url).first.click()
    expect(page.locator("#body")).to_contain_text(str(endpoint["id"]))
    assert "of_the_view" not in page.content()


def test_ids_lead_from_object_to_object(own: Running, page: Page) -> None:
    client = own.client()
    customer = client.v1.customers.create({"payment_method": "pm_card_visa"}).id
    intent = client.v1.payment_intents.create({"amount": 500, "currency": "usd", "customer": customer})

    page.goto(f"{own.base_url}/_sandbox/object/{intent.id}")
    expect(page.get_by_text("$5.00")).to_be_visible()
    page.locator("#body").get_by_role("link", name=customer).click()

    expect(page.get_by_role("heading", name=customer)).to_be_visible()


def test_deliveries_are_held_back_and_let_go(own: Running, receiver: Receiver, page: Page) -> None:
    own.control("webhook_endpoints", url=receiver.url, secret="whsec_" + "of_the_view")
    page.goto(own.base_url)
    page.get_by_role("button", name="Hold deliveries back").click()
    expect(page.get_by_text("Held back.")).to_be_visible()
    own.http().post("/v1/customers", data={"name": "Ada"})

    page.goto(f"{own.base_url}/_sandbox/sent?status=pending")
    expect(page.get_by_text("customer.created")).to_be_visible()
    page.goto(own.base_url)
    page.get_by_role("button", name="Let deliveries go").click()

    receiver.wait(1)


def test_a_test_clock_is_sent_forward(own: Running, receiver: Receiver, page: Page) -> None:
    clock = own.client().v1.test_helpers.test_clocks.create({"frozen_time": 1775044800, "name": "life"})

    page.goto(f"{own.base_url}/_sandbox/list/test_helpers.test_clock")
    page.get_by_role("link", name=clock.id).click()
    expect(page.locator("#clock-title")).to_contain_text("2026-04-01 12:00:00")
    page.get_by_role("button", name="Let time pass").click()
    expect(page.locator("#said")).to_be_visible()

    receiver.until(lambda: own.client().v1.test_helpers.test_clocks.retrieve(clock.id).status == "ready")
    page.reload()
    expect(page.locator("#clock-title")).to_contain_text("2026-05-03 12:00:00")


def test_faults_are_switched_on_and_off(own: Running, receiver: Receiver, page: Page) -> None:
    own.control("webhook_endpoints", url=receiver.url, secret="whsec_" + "of_the_view")
    page.goto(f"{own.base_url}/_sandbox/fault-desk")
    page.get_by_label("What").select_option("rate_limit")
    page.get_by_label("The next … requests").fill("1")
    page.get_by_role("button", name="Switch on").click()
    expect(page.locator(".fault")).to_contain_text("rate_limit")
    page.get_by_label("Doubled, chance 0 to 1").fill("1")
    page.get_by_role("button", name="Set", exact=True).click()
    assert fits(page)

    statuses = [own.http().post("/v1/customers", data={"name": "Ada"}).status_code for _ in range(2)]
    receiver.wait(2)
    page.reload()

    assert statuses == [429, 200]
    expect(page.locator(".fault")).to_contain_text("1 hit")
    expect(page.locator("#so-far")).to_contain_text("1 doubled")
    page.get_by_role("link", name="Overview").click()
    expect(page.locator("#faults-on")).to_contain_text("2 faults")
    page.locator("#faults-on a").click()
    page.get_by_role("button", name="Switch all off").click()
    expect(page.get_by_text("All requests are answered.")).to_be_visible()
    assert own.http().get("/_sandbox/faults").json()["deliveries"]["duplicate"] == 0


def test_nonsense_in_a_form_is_refused_with_a_reason(own: Running, page: Page) -> None:
    page.goto(f"{own.base_url}/_sandbox/fault-desk")
    page.locator("#add-fault").evaluate("form => { form.noValidate = true; }")
    page.get_by_label("or chance, 0 to 1").fill("7")
    page.get_by_role("button", name="Switch on").click()

    expect(page.locator("#error")).to_contain_text("probability must be a number from 0 to 1")


def test_forms_of_other_sites_are_refused(own: Running) -> None:
    form = {"action": "pause"}
    elsewhere = {"Sec-Fetch-Site": "cross-site"}

    refused = own.http().post("/_sandbox/delivery", data=form, headers=elsewhere)
    health = own.http().get("/_sandbox/health").json()

    assert (refused.status_code, health["delivery_paused"]) == (403, False)
    assert own.http().post("/_sandbox/delivery", data=form).status_code == 303


def test_what_is_not_there_is_said_and_pages_are_turned(own: Running) -> None:
    http = own.http()
    for number in range(51):
        http.post("/v1/customers", data={"name": f"Ada {number}"})

    first = http.get("/_sandbox/list/customer").text
    older = first.partition('id="older" href="')[2].partition('"')[0]
    second = http.get(f"/_sandbox/list/customer{older}").text

    assert first.count("Ada ") == 50
    assert second.count("Ada ") == 1
    assert http.get("/_sandbox/object/cus_none").status_code == 404
    assert http.get("/_sandbox/list/customer?before=x").status_code == 200


def test_a_browser_in_the_dark_gets_dark_pages(own: Running, browser: Browser) -> None:
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(own.base_url)

    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 21, 29)"
    context.close()

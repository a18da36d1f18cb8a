"""The sandbox's simple tax: by country, on top of a price or inside it, in sessions, invoices and settings."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import stripe

from sandbox import life as playing
from sandbox.life import LEEWAY, Life, at
from sandbox.process import Running, running

pytestmark = pytest.mark.timeout(120)

BERLIN: Any = {"country": "DE", "postal_code": "10115", "city": "Berlin"}


@pytest.fixture
def life(sandbox: Running, client: stripe.StripeClient) -> Life:
    """A customer with a good card, on 1 April."""
    return playing.begin(sandbox, client, "2026-04-01")


@pytest.fixture
def strict() -> Iterator[Running]:
    """A sandbox of the test's own, whose tax is not set up."""
    with running() as process:
        process.control("settings", tax_status="pending")
        yield process


def price(
    life: Life, amount: int, *, behavior: str, currency: str = "usd", interval: str | None = None
) -> str:
    """Make a price that says how it is taxed."""
    params: Any = {"product": life.product, "unit_amount": amount, "currency": currency}
    recurring: Any = {"recurring": {"interval": interval}} if interval else {}
    return life.client.v1.prices.create(params | recurring | {"tax_behavior": behavior}).id


def session(life: Life, price_id: str, **more: Any) -> stripe.checkout.Session:
    """Open a taxed session whose address becomes the customer's."""
    params: Any = {
        "mode": "payment",
        "customer": life.customer,
        "customer_update": {"address": "auto"},
        "automatic_tax": {"enabled": True},
        "line_items": [{"price": price_id, "quantity": 1}],
        "success_url": "https://shop.example/done",
        "invoice_creation": {"enabled": True},
    }
    return life.client.v1.checkout.sessions.create(params | more)


def live_in(life: Life, address: Any) -> None:
    """Tell where the customer lives."""
    life.client.v1.customers.update(life.customer, {"address": address})


@pytest.mark.parametrize(
    ("currency", "behavior", "total", "tax"),
    [
        ("usd", "exclusive", 11900, 1900),
        ("usd", "inclusive", 10000, 1597),
        ("jpy", "exclusive", 11900, 1900),
        # Three decimals end in zero: 1.900 and 1.597 KWD, rounded.
        ("kwd", "exclusive", 11900, 1900),
        ("kwd", "inclusive", 10000, 1600),
    ],
)
def test_a_session_is_taxed_where_its_buyer_lives(
    life: Life, currency: str, behavior: str, total: int, tax: int
) -> None:
    opened = session(life, price(life, 10000, behavior=behavior, currency=currency))

    paid: Any = life.sandbox.control(f"checkout/sessions/{opened.id}/pay", country="DE")

    assert opened.automatic_tax.status == "requires_location_inputs"
    assert (opened.amount_total, opened.to_dict()["total_details"]["amount_tax"]) == (10000, 0)
    done = paid["session"]
    assert (done["amount_subtotal"], done["amount_total"]) == (10000, total)
    assert done["total_details"]["amount_tax"] == tax
    assert done["automatic_tax"]["status"] == "complete"
    intent = life.client.v1.payment_intents.retrieve(done["payment_intent"])
    assert intent.amount == total
    invoice = life.client.v1.invoices.retrieve(done["invoice"]).to_dict()
    assert (invoice["total"], invoice["total_excluding_tax"]) == (total, total - tax)
    assert [row["amount"] for row in invoice["total_taxes"]] == [tax]
    address = life.client.v1.customers.retrieve(life.customer).to_dict()["address"]
    assert address["country"] == "DE"


def test_a_country_without_a_rate_is_not_taxed_and_the_desk_can_say_one_for_all(life: Life) -> None:
    goods = price(life, 10000, behavior="exclusive")
    untaxed: Any = life.sandbox.control(f"checkout/sessions/{session(life, goods).id}/pay")
    with playing.settings(life.sandbox, tax_percent="7.7"):
        taxed: Any = life.sandbox.control(f"checkout/sessions/{session(life, goods).id}/pay", country="KW")

    assert untaxed["session"]["amount_total"] == 10000
    assert taxed["session"]["amount_total"] == 10770


def test_the_hosted_page_asks_for_the_country_and_charges_its_tax(life: Life) -> None:
    opened = session(life, price(life, 10000, behavior="exclusive"))
    typed = {
        "email": "a@example.com",
        "billingName": "Ada",
        "billingPostalCode": "75001",
        "cardNumber": "4242424242424242",
        "cardExpiry": "12 / 34",
        "cardCvc": "123",
    }

    with httpx.Client(base_url=life.sandbox.base_url, trust_env=False) as http:
        page = http.get(f"/c/pay/{opened.id}").text
        wrong = http.post(f"/c/pay/{opened.id}", data=typed | {"billingCountry": "France"})
        http.post(f"/c/pay/{opened.id}", data=typed | {"billingCountry": "fr"})

    assert 'id="billingCountry"' in page
    assert "Write the country as two letters" in wrong.text
    done = life.client.v1.checkout.sessions.retrieve(opened.id)
    assert (done.status, done.amount_total) == ("complete", 12000)


@pytest.mark.parametrize(("behavior", "total", "net"), [("exclusive", 2380, 2000), ("inclusive", 2000, 1681)])
def test_each_invoice_of_a_plan_is_taxed(life: Life, behavior: str, total: int, net: int) -> None:
    live_in(life, BERLIN)
    plan = price(life, 2000, behavior=behavior, interval="month")

    found = life.subscribe(plan, automatic_tax={"enabled": True})
    life.until(at("2026-05-01") + LEEWAY)

    invoices = life.invoices(found)
    assert [(one["subtotal"], one["total"], one["total_excluding_tax"]) for one in invoices] == [
        (2000, total, net)
    ] * 2
    [line] = invoices[1]["lines"]["data"]
    assert [(one["amount"], one["tax_behavior"]) for one in line["taxes"]] == [(2000 - net or 380, behavior)]
    assert invoices[1]["amount_paid"] == total


def test_what_is_credited_for_unused_time_is_credited_with_its_tax(life: Life) -> None:
    live_in(life, BERLIN)
    dear = price(life, 5000, behavior="exclusive", interval="month")
    cheap = price(life, 2000, behavior="exclusive", interval="month")
    found = life.subscribe(dear, automatic_tax={"enabled": True})

    life.update(
        found,
        items=[{"id": found["items"]["data"][0]["id"], "price": cheap}],
        proration_behavior="always_invoice",
    )

    credit = life.invoices(found)[1]
    assert (credit["total"], credit["total_excluding_tax"]) == (-3570, -3000)
    assert life.client.v1.customers.retrieve(life.customer).balance == -3570


def test_tax_comes_after_a_discount_and_is_nothing_on_nothing(life: Life) -> None:
    live_in(life, BERLIN)
    plan = price(life, 2000, behavior="exclusive", interval="month")
    totals = []
    for percent in (50, 100):
        coupon = life.client.v1.coupons.create({"percent_off": percent, "duration": "once"}).id
        found = life.subscribe(plan, automatic_tax={"enabled": True}, discounts=[{"coupon": coupon}])
        totals.append(life.invoices(found)[0]["total"])

    assert totals == [1190, 0]


def test_tax_for_somebody_of_whom_nobody_knows_where_they_live_is_refused(life: Life) -> None:
    plan, goods = (
        price(life, 2000, behavior="exclusive", interval="month"),
        price(life, 5, behavior="inclusive"),
    )
    refusals = []
    for ask in (
        lambda: life.subscribe(plan, automatic_tax={"enabled": True}),
        lambda: session(life, goods, customer_update={"name": "auto"}),
        lambda: life.client.v1.customers.update(life.customer, {"tax": {"validate_location": "immediately"}}),
    ):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            ask()
        refusals.append(refused.value.code)

    assert refusals == ["customer_tax_location_invalid"] * 3


def test_what_a_price_says_of_its_tax_is_said_once(life: Life) -> None:
    prices = life.client.v1.prices
    open_still = life.price(2000)
    prices.update(open_still, {"tax_behavior": "inclusive"})

    with pytest.raises(stripe.InvalidRequestError, match="tax_behavior"):
        prices.update(open_still, {"tax_behavior": "exclusive"})

    assert prices.retrieve(open_still).tax_behavior == "inclusive"


def test_nothing_is_taxed_before_it_is_set_up(strict: Running) -> None:
    client = strict.client()
    before = client.v1.tax.settings.retrieve()
    customer = client.v1.customers.create({"address": BERLIN})
    product: Any = {"currency": "usd", "unit_amount": 1000, "product_data": {"name": "Plan"}}
    plan = client.v1.prices.create(product | {"recurring": {"interval": "month"}}).id
    wish: Any = {
        "customer": customer.id,
        "items": [{"price": plan}],
        "payment_behavior": "default_incomplete",
    }
    with pytest.raises(stripe.InvalidRequestError, match="head office"):
        client.v1.subscriptions.create(wish | {"automatic_tax": {"enabled": True}})

    after = client.v1.tax.settings.update({"head_office": {"address": {"country": "DE"}}})
    client.v1.subscriptions.create(wish | {"automatic_tax": {"enabled": True}})

    missing = before.to_dict()["status_details"]["pending"]["missing_fields"]
    assert (before.status, missing, after.status) == ("pending", ["head_office"], "active")

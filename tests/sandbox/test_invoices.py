"""Invoices by hand and by schedule: sent, paid elsewhere, voided, retried for days, authenticated by the buyer."""

from typing import Any

import pytest
import stripe

from sandbox import life as playing
from sandbox.life import DAY, HOUR, LEEWAY, Life, at
from sandbox.process import Running

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def life(sandbox: Running, client: stripe.StripeClient) -> Life:
    """A customer with a good card, on 1 April."""
    return playing.begin(sandbox, client, "2026-04-01")


def drafted(life: Life, amount: int = 1500, **more: Any) -> stripe.Invoice:
    """Make a draft with one line."""
    params: Any = {"customer": life.customer} | more
    draft = life.client.v1.invoices.create(params)
    item: Any = {"customer": life.customer, "invoice": draft.id, "amount": amount, "currency": "usd"}
    life.client.v1.invoice_items.create(item | {"description": "Work"})
    return life.client.v1.invoices.retrieve(draft.id)


def test_a_draft_becomes_open_and_paid(life: Life) -> None:
    invoices = life.client.v1.invoices
    draft = drafted(life)

    opened = invoices.finalize_invoice(draft.id)
    paid = invoices.pay(draft.id, {"expand": ["payments"]})
    with pytest.raises(stripe.InvalidRequestError, match="already paid"):
        invoices.pay(draft.id)

    assert (draft.status, draft.total, draft.number) == ("draft", 1500, None)
    assert (opened.status, opened.amount_due) == ("open", 1500)
    assert (paid.status, paid.amount_paid, paid.billing_reason) == ("paid", 1500, "manual")
    payment = paid.to_dict()["payments"]["data"][0]
    assert (payment["status"], payment["amount_paid"]) == ("paid", 1500)
    found = life.client.v1.invoice_payments.list(
        {"payment": {"type": "payment_intent", "payment_intent": payment["payment"]["payment_intent"]}}
    )
    assert [one.invoice for one in found.data] == [draft.id]


def test_waiting_items_go_on_the_next_invoice_of_a_subscription(life: Life) -> None:
    subscription = life.subscribe(life.price(2000))
    life.client.v1.invoice_items.create({"customer": life.customer, "amount": 700, "currency": "usd"})

    life.until(at("2026-05-01") + LEEWAY)

    assert life.invoices(subscription)[-1]["total"] == 2700
    assert life.client.v1.invoice_items.list({"customer": life.customer, "pending": True}).data == []


def test_an_invoice_that_was_paid_elsewhere_takes_no_money(life: Life) -> None:
    draft = drafted(life)
    life.client.v1.invoices.finalize_invoice(draft.id)

    paid = life.client.v1.invoices.pay(draft.id, {"paid_out_of_band": True})

    assert (paid.status, paid.amount_remaining) == ("paid", 0)
    told = life.told("invoice.paid", "invoice.payment_succeeded", "payment_intent.canceled")
    assert sorted(told) == ["invoice.paid", "payment_intent.canceled"]
    assert life.client.v1.charges.list({"customer": life.customer}).data == []


def test_an_invoice_is_voided_or_given_up(life: Life) -> None:
    invoices = life.client.v1.invoices
    first, second = drafted(life), drafted(life)
    for draft in (first, second):
        invoices.finalize_invoice(draft.id)

    voided = invoices.void_invoice(first.id)
    lost = invoices.mark_uncollectible(second.id)
    saved = invoices.pay(second.id)
    with pytest.raises(stripe.InvalidRequestError, match="void"):
        invoices.void_invoice(first.id)

    assert (voided.status, lost.status, saved.status) == ("void", "uncollectible", "paid")
    assert {"invoice.voided", "invoice.marked_uncollectible"} <= set(life.told())


def test_a_sent_invoice_grows_overdue_and_is_paid_on_its_page(life: Life) -> None:
    subscription = life.subscribe(life.price(2000), collection_method="send_invoice", days_until_due=7)
    life.later(LEEWAY)
    sent = life.invoices(subscription)[0]

    life.later(8 * DAY)
    late = life.subscription(subscription)["status"]
    with life.sandbox.http("") as http:
        page = http.get(sent["hosted_invoice_url"]).text
        card = {"cardExpiry": "12 / 34", "cardCvc": "123"}
        refused = http.post(sent["hosted_invoice_url"], data=card | {"cardNumber": "4000000000000002"})
        step = http.post(sent["hosted_invoice_url"], data=card | {"cardNumber": "4000002500003155"})
        http.post(step.headers["location"], data={"result": "complete"})

    assert (subscription["status"], sent["status"]) == ("active", "open")
    assert "$20.00" in page
    assert "Your card was declined." in refused.text
    assert late == "past_due"
    assert life.invoices(subscription)[0]["status"] == "paid"
    assert life.subscription(subscription)["status"] == "active"
    told = life.told("invoice.sent", "invoice.overdue", "invoice.paid")
    assert told == ["invoice.sent", "invoice.overdue", "invoice.paid"]


def test_a_refused_renewal_is_tried_again_until_a_good_card_comes(life: Life) -> None:
    subscription = life.subscribe(life.price(2000))
    life.pay_with("pm_card_chargeCustomerFail")

    life.until(at("2026-05-01") + LEEWAY)
    first = life.invoices(subscription)[-1]
    life.later(3 * DAY)
    second = life.invoices(subscription)[-1]
    life.pay_with("pm_card_visa")
    life.later(5 * DAY)

    assert (first["status"], first["attempt_count"]) == ("open", 1)
    assert first["next_payment_attempt"] == at("2026-05-01") + HOUR + 3 * DAY
    assert (second["attempt_count"], second["next_payment_attempt"]) == (
        2,
        at("2026-05-01") + HOUR + 8 * DAY,
    )
    assert life.invoices(subscription)[-1]["status"] == "paid"
    states = [
        event["data"]["object"]["status"]
        for event in life.events("customer.subscription.updated")
        if "status" in event["data"]["previous_attributes"]
    ]
    assert states == ["active", "past_due", "active"]
    assert life.told("invoice.payment_failed") == ["invoice.payment_failed"] * 2


@pytest.mark.parametrize(
    ("wanted", "left", "status", "invoice_status"),
    [
        ("cancel", "leave", "canceled", "open"),
        ("unpaid", "uncollectible", "unpaid", "uncollectible"),
        ("past_due", "leave", "past_due", "open"),
    ],
)
def test_when_no_money_comes_it_ends_as_it_is_set(
    life: Life, wanted: str, left: str, status: str, invoice_status: str
) -> None:
    subscription = life.subscribe(life.price(2000))
    life.pay_with("pm_card_chargeCustomerFail")

    with playing.settings(life.sandbox, after_retries=wanted, invoice_after_retries=left):
        life.until(at("2026-05-01") + 16 * DAY)

    unpaid = life.invoices(subscription)[-1]
    ended = life.subscription(subscription)
    assert (ended["status"], unpaid["status"], unpaid["attempt_count"]) == (status, invoice_status, 4)
    if wanted == "cancel":
        assert ended["cancellation_details"]["reason"] == "payment_failed"
    if wanted == "unpaid":
        life.until(at("2026-06-01") + LEEWAY)
        assert life.invoices(subscription)[-1]["status"] == "draft"


def test_a_renewal_that_needs_the_buyer_waits_for_the_buyer(life: Life) -> None:
    subscription = life.subscribe(life.price(2000))
    life.pay_with("pm_card_authenticationRequired")

    life.until(at("2026-05-01") + LEEWAY)
    waiting = life.invoices(subscription)[-1]
    life.sandbox.control(f"invoices/{waiting['id']}/authenticate", outcome="complete")

    told = life.told("invoice.payment_action_required", "payment_intent.requires_action", "invoice.paid")
    assert told == [
        "invoice.paid",
        "payment_intent.requires_action",
        "invoice.payment_action_required",
        "invoice.paid",
    ]
    assert waiting["status"] == "open"
    assert life.subscription(subscription)["status"] == "active"


def test_a_simple_tax_comes_on_top_where_it_is_enabled(life: Life) -> None:
    life.client.v1.customers.update(life.customer, {"address": {"country": "US"}})
    with playing.settings(life.sandbox, tax_percent="19"):
        taxed = life.subscribe(life.price(1000), automatic_tax={"enabled": True})
        plain = life.subscribe(life.price(1000))

    invoice = life.invoices(taxed)[0]
    assert (invoice["subtotal"], invoice["total"], invoice["total_excluding_tax"]) == (1000, 1190, 1000)
    assert invoice["lines"]["data"][0]["taxes"][0]["amount"] == 190
    assert life.invoices(plain)[0]["total"] == 1000


def test_the_newest_debt_decides_whether_a_plan_is_past_due(life: Life) -> None:
    with playing.settings(life.sandbox, after_retries="past_due", retry_days=""):
        subscription = life.subscribe(life.price(2000))
        life.pay_with("pm_card_chargeCustomerFail")
        life.until(at("2026-06-01") + LEEWAY)
    _paid, older, newest = life.invoices(subscription)
    life.pay_with("pm_card_visa")

    life.client.v1.invoices.pay(older["id"])
    still = life.subscription(subscription)["status"]
    life.client.v1.invoices.pay(newest["id"])

    assert (older["status"], newest["status"], still) == ("open", "open", "past_due")
    assert life.subscription(subscription)["status"] == "active"


def test_paying_the_newest_debt_is_enough(life: Life) -> None:
    with playing.settings(life.sandbox, after_retries="past_due", retry_days=""):
        subscription = life.subscribe(life.price(2000))
        life.pay_with("pm_card_chargeCustomerFail")
        life.until(at("2026-06-01") + LEEWAY)
    life.pay_with("pm_card_visa")

    life.client.v1.invoices.pay(life.invoices(subscription)[-1]["id"])

    assert life.subscription(subscription)["status"] == "active"

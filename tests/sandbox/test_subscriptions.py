"""Subscriptions on a test clock: beginning, renewing, trials, ends, pauses, and what is told of them."""

import time
from typing import Any

import pytest
import stripe

from sandbox import life as playing
from sandbox.conftest import Shop
from sandbox.life import DAY, HOUR, LEEWAY, Life, at, day
from sandbox.process import Running

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def life(sandbox: Running, client: stripe.StripeClient) -> Life:
    """A customer with a good card, on 31 January."""
    return playing.begin(sandbox, client)


def test_a_subscription_begins_paid(life: Life) -> None:
    subscription = life.subscribe(life.price(2000), metadata={"account": "7"})

    (invoice,) = life.invoices(subscription)
    line = invoice["lines"]["data"][0]
    assert (subscription["status"], invoice["status"], invoice["total"]) == ("active", "paid", 2000)
    assert (invoice["billing_reason"], invoice["amount_paid"]) == ("subscription_create", 2000)
    assert invoice["parent"]["subscription_details"]["metadata"] == {"account": "7"}
    assert line["parent"]["subscription_item_details"]["subscription"] == subscription["id"]
    assert day(line["period"]["end"]) == "2026-02-28"
    told = life.told("customer.subscription.*", "invoice.*", "payment_intent.*")
    assert told == [
        "customer.subscription.created",
        "invoice.created",
        "invoice.finalized",
        "payment_intent.created",
        "payment_intent.succeeded",
        "invoice.paid",
        "invoice.payment_succeeded",
        "customer.subscription.updated",
    ]


def test_two_years_keep_to_the_last_day_of_the_month(life: Life) -> None:
    subscription = life.subscribe(life.price(2000))

    life.until(at("2028-01-31") + LEEWAY)

    invoices = life.invoices(subscription)
    assert [day(invoice["lines"]["data"][0]["period"]["start"]) for invoice in invoices[:5]] == [
        "2026-01-31",
        "2026-02-28",
        "2026-03-31",
        "2026-04-30",
        "2026-05-31",
    ]
    assert len(invoices) == 25
    assert {invoice["status"] for invoice in invoices} == {"paid"}
    assert {invoice["billing_reason"] for invoice in invoices[1:]} == {"subscription_cycle"}
    assert day(invoices[-1]["lines"]["data"][0]["period"]["start"]) == "2028-01-31"


def test_a_renewal_is_a_draft_for_an_hour(life: Life) -> None:
    subscription = life.subscribe(life.price(2000))
    end = subscription["items"]["data"][0]["current_period_end"]

    life.until(end)
    draft = life.invoices(subscription)[-1]
    life.until(end + HOUR)
    paid = life.invoices(subscription)[-1]

    assert (draft["status"], draft["automatically_finalizes_at"]) == ("draft", end + HOUR)
    assert (paid["id"], paid["status"]) == (draft["id"], "paid")
    told = life.told("invoice.*", "customer.subscription.updated")
    assert told[-6:] == [
        "invoice.upcoming",
        "invoice.created",
        "customer.subscription.updated",
        "invoice.finalized",
        "invoice.paid",
        "invoice.payment_succeeded",
    ]
    turned = life.events("customer.subscription.updated")[-1]["data"]
    assert turned["previous_attributes"]["items"]["data"][0]["current_period_end"] == end


def test_a_trial_ends_in_a_payment(life: Life) -> None:
    subscription = life.subscribe(life.price(2000), trial_period_days=7)
    free = life.invoices(subscription)[0]

    life.later(4 * DAY)
    told_early = life.told("customer.subscription.trial_will_end")
    life.later(3 * DAY + HOUR)

    assert (subscription["status"], free["total"], free["status"]) == ("trialing", 0, "paid")
    assert told_early == ["customer.subscription.trial_will_end"]
    assert life.subscription(subscription)["status"] == "active"
    last = life.invoices(subscription)[-1]
    assert (last["total"], last["status"], last["billing_reason"]) == (2000, "paid", "subscription_cycle")


@pytest.mark.parametrize(("wanted", "status"), [("cancel", "canceled"), ("pause", "paused")])
def test_a_trial_without_a_card_that_is_ended_by_hand_ends_as_agreed_too(
    sandbox: Running, client: stripe.StripeClient, wanted: str, status: str
) -> None:
    life = playing.begin(sandbox, client, card=None)
    behavior = {"end_behavior": {"missing_payment_method": wanted}}
    subscription = life.subscribe(life.price(2000), trial_period_days=7, trial_settings=behavior)

    life.update(subscription, trial_end="now")

    assert life.subscription(subscription)["status"] == status
    assert len(life.invoices(subscription)) == 1


@pytest.mark.parametrize(("wanted", "status"), [("cancel", "canceled"), ("pause", "paused")])
def test_a_trial_without_a_card_ends_as_agreed(
    sandbox: Running, client: stripe.StripeClient, wanted: str, status: str
) -> None:
    life = playing.begin(sandbox, client, card=None)
    behavior = {"end_behavior": {"missing_payment_method": wanted}}
    subscription = life.subscribe(life.price(2000), trial_period_days=7, trial_settings=behavior)

    life.later(7 * DAY)

    assert life.subscription(subscription)["status"] == status
    if status == "paused":
        assert "customer.subscription.paused" in life.told()
        life.pay_with("pm_card_visa")
        resumed = life.client.v1.subscriptions.resume(subscription["id"])
        assert resumed.status == "active"
        assert "customer.subscription.resumed" in life.told()


def test_an_end_at_the_end_of_the_period_can_be_taken_back(life: Life) -> None:
    subscription = life.subscribe(life.price(2000))
    end = subscription["items"]["data"][0]["current_period_end"]

    leaving = life.update(subscription, cancel_at_period_end=True)
    staying = life.update(subscription, cancel_at_period_end=False)
    life.update(subscription, cancel_at_period_end=True)
    life.until(end + LEEWAY)

    assert (leaving["cancel_at"], leaving["cancellation_details"]["reason"]) == (
        end,
        "cancellation_requested",
    )
    assert (staying["cancel_at"], staying["canceled_at"]) == (None, None)
    gone = life.subscription(subscription)
    assert (gone["status"], gone["ended_at"]) == ("canceled", end)
    assert len(life.invoices(subscription)) == 1
    assert life.told()[-1] == "customer.subscription.deleted"


def test_a_cancelled_subscription_is_over_at_once(life: Life) -> None:
    subscription = life.subscribe(life.price(2000))
    kept = life.subscribe(life.price(3000))

    cancelled = life.client.v1.subscriptions.cancel(
        subscription["id"], {"cancellation_details": {"feedback": "too_expensive", "comment": "Bye"}}
    )
    with pytest.raises(stripe.InvalidRequestError):
        life.client.v1.subscriptions.cancel(subscription["id"])
    living = life.client.v1.subscriptions.list({"customer": life.customer}).data
    every = life.client.v1.subscriptions.list({"customer": life.customer, "status": "all"}).data

    assert (cancelled.status, cancelled.cancellation_details) != ("active", None)
    assert cancelled.to_dict()["cancellation_details"]["feedback"] == "too_expensive"
    assert [one.id for one in living] == [kept["id"]]
    assert len(every) == 2


def test_credit_for_unused_time_can_be_given_at_the_end(life: Life) -> None:
    subscription = life.subscribe(life.price(3100))
    life.until(at("2026-02-14"))

    life.client.v1.subscriptions.cancel(subscription["id"], {"prorate": True, "invoice_now": True})

    last = life.invoices(subscription)[-1]
    assert (last["total"], last["status"]) == (-1550, "paid")
    assert life.client.v1.customers.retrieve(life.customer).balance == -1550


@pytest.mark.parametrize(
    ("behavior", "status"),
    [("void", "void"), ("mark_uncollectible", "uncollectible"), ("keep_as_draft", "draft")],
)
def test_collection_can_be_paused_for_a_time(life: Life, behavior: str, status: str) -> None:
    subscription = life.subscribe(life.price(2000))
    end = subscription["items"]["data"][0]["current_period_end"]

    life.update(subscription, pause_collection={"behavior": behavior, "resumes_at": end + 10 * DAY})
    life.until(end + LEEWAY)
    paused = life.invoices(subscription)[-1]
    life.until(at("2026-03-31") + LEEWAY)

    assert (paused["status"], life.subscription(subscription)["status"]) == (status, "active")
    assert life.subscription(subscription)["pause_collection"] is None
    assert life.invoices(subscription)[-1]["status"] == "paid"


def test_subscriptions_in_yen_and_dinar_are_whole_minor_units(life: Life) -> None:
    for currency in ("jpy", "kwd"):
        subscription = life.subscribe(life.price(1000, currency=currency))
        life.later(5 * DAY)
        life.update(
            subscription,
            items=[{"id": subscription["items"]["data"][0]["id"], "quantity": 3}],
            proration_behavior="always_invoice",
        )
        change = life.invoices(subscription)[-1]
        assert (change["currency"], change["status"]) == (currency, "paid")
        assert change["total"] == sum(line["amount"] for line in change["lines"]["data"])


def test_a_cycle_can_begin_on_a_later_day(life: Life) -> None:
    anchor = at("2026-02-14")

    part = life.subscribe(life.price(3100), billing_cycle_anchor=anchor)
    free = life.subscribe(life.price(3100), billing_cycle_anchor=anchor, proration_behavior="none")
    life.until(anchor + LEEWAY)

    assert [invoice["total"] for invoice in life.invoices(part)] == [1400, 3100]
    assert [invoice["total"] for invoice in life.invoices(free)] == [0, 3100]
    assert part["items"]["data"][0]["current_period_end"] == anchor


def test_an_older_version_shows_the_period_on_the_subscription(life: Life) -> None:
    subscription = life.subscribe(life.price(2000))
    old = {"Stripe-Version": "2023-10-16"}
    expand = {"expand[]": "latest_invoice"}

    with life.sandbox.http() as http:
        body = http.get(f"/v1/subscriptions/{subscription['id']}", params=expand, headers=old).json()

    invoice = body["latest_invoice"]
    line = invoice["lines"]["data"][0]
    assert (day(body["current_period_end"]), body["discount"]) == ("2026-02-28", None)
    assert "current_period_end" not in body["items"]["data"][0]
    assert (invoice["subscription"], invoice["paid"]) == (subscription["id"], True)
    assert (line["type"], line["proration"], line["price"]["unit_amount"]) == ("subscription", False, 2000)


def test_time_goes_on_by_itself_for_a_customer_without_a_clock(shop: Shop) -> None:
    customer = shop.client.v1.customers.create({"payment_method": "pm_card_visa"})
    assert customer.test_clock is None
    recurring: Any = {"product_data": {"name": "P"}, "currency": "usd", "unit_amount": 500}
    price = shop.client.v1.prices.create(recurring | {"recurring": {"interval": "month"}})
    soon = int(time.time()) + 2
    params: Any = {"customer": customer.id, "items": [{"price": price.id}], "trial_end": soon}
    subscription = shop.client.v1.subscriptions.create(params)
    end = time.monotonic() + 50

    while shop.client.v1.subscriptions.retrieve(subscription.id).status != "active":
        assert time.monotonic() < end
        time.sleep(0.05)

    drafts = shop.client.v1.invoices.list({"subscription": subscription.id, "status": "draft"}).data
    assert [draft.billing_reason for draft in drafts] == ["subscription_cycle"]

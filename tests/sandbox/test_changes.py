"""Changes in the middle of a period: prorations to the second, previews that come true, items one by one."""

from typing import Any

import pytest
import stripe

from sandbox import life as playing
from sandbox.life import LEEWAY, Life, at
from sandbox.process import Running

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def life(sandbox: Running, client: stripe.StripeClient) -> Life:
    """A customer with a good card, on 1 April: a month of thirty days."""
    return playing.begin(sandbox, client, "2026-04-01")


def item_of(subscription: dict[str, Any]) -> str:
    """Return the id of the only item."""
    return str(subscription["items"]["data"][0]["id"])


def amounts(invoice: dict[str, Any]) -> list[int]:
    """Return the amounts of the lines."""
    return [line["amount"] for line in invoice["lines"]["data"]]


def test_an_upgrade_waits_for_the_next_invoice(life: Life) -> None:
    subscription = life.subscribe(life.price(3000))
    dear = life.price(6000)
    life.until(at("2026-04-11"))

    changed = life.update(subscription, items=[{"id": item_of(subscription), "price": dear}])
    life.until(at("2026-05-01") + LEEWAY)

    assert changed["items"]["data"][0]["price"]["id"] == dear
    last = life.invoices(subscription)[-1]
    assert (amounts(last), last["total"]) == ([-2000, 4000, 6000], 8000)
    details = [line["parent"]["subscription_item_details"] for line in last["lines"]["data"]]
    assert [detail["proration"] for detail in details] == [True, True, False]
    told = life.told("invoiceitem.created", "customer.subscription.updated")
    assert told[-4:-1] == ["invoiceitem.created", "invoiceitem.created", "customer.subscription.updated"]
    before = life.events("customer.subscription.updated")[1]["data"]["previous_attributes"]
    assert before["items"]["data"][0]["price"]["unit_amount"] == 3000


def test_an_upgrade_can_be_billed_at_once_as_its_preview_says(life: Life) -> None:
    subscription = life.subscribe(life.price(3000))
    wish: Any = {"items": [{"id": item_of(subscription), "price": life.price(6000)}]}
    wish["proration_behavior"] = "always_invoice"
    life.until(at("2026-04-16"))
    mark = len(life.told())

    preview = life.client.v1.invoices.create_preview(
        {"subscription": subscription["id"], "subscription_details": wish}
    ).to_dict()
    told_by_preview = len(life.told()) - mark
    life.update(subscription, **wish)

    billed = life.invoices(subscription)[-1]
    assert told_by_preview == 0
    assert (amounts(preview), preview["amount_due"]) == ([-1500, 3000], 1500)
    assert (amounts(billed), billed["amount_paid"]) == ([-1500, 3000], 1500)
    assert billed["billing_reason"] == "subscription_update"


def test_a_preview_of_a_plain_renewal_shows_what_will_be_billed(life: Life) -> None:
    subscription = life.subscribe(life.price(3000))

    preview = life.client.v1.invoices.create_preview({"subscription": subscription["id"]})
    new: Any = {"items": [{"price": life.price(500)}]}
    first = life.client.v1.invoices.create_preview({"customer": life.customer, "subscription_details": new})

    assert (preview.total, preview.id.startswith("upcoming_in_")) == (3000, True)
    assert (first.total, first.amount_due) == (500, 500)
    assert len(life.client.v1.subscriptions.list({"customer": life.customer}).data) == 1


def test_a_downgrade_at_once_becomes_credit_for_later(life: Life) -> None:
    subscription = life.subscribe(life.price(6000))
    life.until(at("2026-04-16"))

    life.update(
        subscription,
        items=[{"id": item_of(subscription), "price": life.price(3000)}],
        proration_behavior="always_invoice",
    )
    credit = life.client.v1.customers.retrieve(life.customer).balance
    life.until(at("2026-05-01") + LEEWAY)

    last = life.invoices(subscription)[-1]
    assert credit == -1500
    assert (last["total"], last["starting_balance"], last["amount_paid"]) == (3000, -1500, 1500)
    assert life.client.v1.customers.retrieve(life.customer).balance == 0


def test_without_proration_the_next_period_alone_changes(life: Life) -> None:
    subscription = life.subscribe(life.price(3000))
    life.until(at("2026-04-16"))

    life.update(
        subscription,
        items=[{"id": item_of(subscription), "price": life.price(6000)}],
        proration_behavior="none",
    )
    life.until(at("2026-05-01") + LEEWAY)

    assert amounts(life.invoices(subscription)[-1]) == [6000]


def test_another_interval_begins_a_new_cycle_at_once(life: Life) -> None:
    subscription = life.subscribe(life.price(3000))
    life.until(at("2026-04-16"))

    changed = life.update(
        subscription, items=[{"id": item_of(subscription), "price": life.price(30000, "year")}]
    )

    last = life.invoices(subscription)[-1]
    assert changed["items"]["data"][0]["current_period_end"] == at("2027-04-16")
    assert (amounts(last), last["amount_paid"]) == ([-1500, 30000], 28500)


def test_an_upgrade_that_cannot_be_paid_makes_past_due_or_nothing(life: Life) -> None:
    subscription = life.subscribe(life.price(3000))
    life.pay_with("pm_card_chargeCustomerFail")
    wish: Any = {
        "items": [{"id": item_of(subscription), "price": life.price(6000)}],
        "proration_behavior": "always_invoice",
    }

    with pytest.raises(stripe.CardError):
        life.update(subscription, **wish, payment_behavior="error_if_incomplete")
    untouched = life.subscription(subscription)
    changed = life.update(subscription, **wish)

    assert untouched["items"]["data"][0]["price"]["unit_amount"] == 3000
    assert len(life.invoices(subscription)) == 2
    assert changed["status"] == "past_due"


def test_a_trial_is_lengthened_and_ended_now(life: Life) -> None:
    subscription = life.subscribe(life.price(3000), trial_period_days=7)

    longer = life.update(subscription, trial_end=at("2026-04-20"))
    ended = life.update(subscription, trial_end="now")

    assert (longer["status"], longer["trial_end"]) == ("trialing", at("2026-04-20"))
    assert (ended["status"], ended["billing_cycle_anchor"]) == ("active", at("2026-04-01"))
    assert life.invoices(subscription)[-1]["amount_paid"] == 3000


def test_items_come_and_go(life: Life) -> None:
    items = life.client.v1.subscription_items
    subscription = life.subscribe(life.price(3000))
    life.until(at("2026-04-16"))

    added = items.create({"subscription": subscription["id"], "price": life.price(1000), "quantity": 2})
    items.update(added.id, {"quantity": 4})
    known = items.list({"subscription": subscription["id"]}).data
    items.delete(added.id, {"proration_behavior": "none"})

    assert items.retrieve(item_of(subscription)).id == item_of(subscription)
    assert [(item.price.unit_amount, item.quantity) for item in known] == [(3000, 1), (1000, 4)]
    waiting = life.client.v1.invoice_items.list({"customer": life.customer, "pending": True}).data
    assert sorted(item.amount for item in waiting) == [-1000, 1000, 2000]
    assert len(life.subscription(subscription)["items"]["data"]) == 1


def test_a_plan_that_ends_has_nothing_more_to_bill(life: Life) -> None:
    subscription = life.subscribe(life.price(3000))

    wish: Any = {"cancel_at_period_end": True}
    asked = life.client.v1.invoices.create_preview(
        {"subscription": subscription["id"], "subscription_details": wish}
    )
    life.update(subscription, cancel_at_period_end=True)
    told = life.client.v1.invoices.create_preview({"subscription": subscription["id"]})

    assert (asked.total, asked.lines.data) == (0, [])
    assert (told.total, told.lines.data) == (0, [])

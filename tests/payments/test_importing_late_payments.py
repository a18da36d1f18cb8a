"""What was made before a customer became ours and paid after it: an import that is repeated leaves it alone."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from payments.desk import OPERATOR, Till
from payments.test_importing import a_customer, price_of, took, user_of
from tallybook.domain.payments.importing import Options
from tallybook.usecases.reconciling import runs
from tallybook.worker.reconciling import reconcile

pytestmark = pytest.mark.timeout(180)


def link_after(till: Till, customer: str, made: int) -> None:
    """As if a customer had become ours in the second after something was made; returns when that second is over."""
    link = made + 1
    till.ask(
        "UPDATE tallybook.stripe_customers SET created_at = to_timestamp(%s) WHERE stripe_customer_id = %s",
        link,
        customer,
    )
    while time.time() < link + 1:
        time.sleep(0.05)


async def test_an_invoice_made_before_it_became_ours_and_paid_after_it_is_left_to_webhooks(
    shop: Till,
) -> None:
    grace = a_customer(shop, "grace@example.com")
    form = {"customer": grace, "items[0][price]": price_of(shop, "plan_starter")}
    made = shop.stripe_post("/v1/subscriptions", **form, payment_behavior="default_incomplete")
    await took(shop)
    link_after(shop, grace, shop.stripe_get(f"/v1/invoices/{made['latest_invoice']}")["created"])
    card = shop.stripe_post("/v1/payment_methods/pm_card_visa/attach", customer=grace)["id"]
    shop.stripe_post(f"/v1/invoices/{made['latest_invoice']}/pay", payment_method=card)

    again = await took(shop, Options())
    asked = await runs.request(shop.ctx, OPERATOR, applies=True)
    await reconcile(shop.ctx, asked, grace=timedelta(seconds=-5))

    plan = shop.ctx.catalog.by_lookup_key("plan_starter")
    assert plan is not None
    assert again[grace].payments == 0
    assert shop.credits(user_of(shop, grace)) == plan.credits.micro // 1_000_000


async def test_a_checkout_made_before_it_became_ours_and_paid_after_it_is_not_imported(shop: Till) -> None:
    grace = a_customer(shop, "grace@example.com")
    form = {"mode": "payment", "customer": grace, "success_url": "https://a.example/"}
    lines = {
        "line_items[0][price]": price_of(shop, "package_starter"),
        "line_items[0][quantity]": "1",
    }
    session = shop.stripe_post("/v1/checkout/sessions", **form, **lines)
    await took(shop)
    link_after(shop, grace, session["created"])
    shop.sandbox.control(f"checkout/sessions/{session['id']}/pay", card="4242424242424242")

    again = await took(shop)

    assert (again[grace].payments, shop.grants()) == (0, 0)


async def test_an_invoice_of_before_keeps_its_tax_and_what_a_balance_paid(shop: Till) -> None:
    grace = a_customer(shop, "grace@example.com", balance="-500", **{"address[country]": "DE"})
    card = shop.stripe_post("/v1/payment_methods/pm_card_visa/attach", customer=grace)["id"]
    form = {"customer": grace, "items[0][price]": price_of(shop, "plan_starter")}
    shop.stripe_post(
        "/v1/subscriptions", **form, default_payment_method=card, **{"automatic_tax[enabled]": "true"}
    )

    await took(shop)

    assert shop.ask("SELECT paid_minor, from_balance_minor, tax_minor FROM tallybook.payments") == [
        (689, 500, 190)
    ]

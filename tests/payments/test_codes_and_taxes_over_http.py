"""Over HTTP: codes and addresses that go with a plan, and what a payment shows of its tax."""

from __future__ import annotations

import pytest
from running_service import Running

from payments.test_routes import URLS, await_credits, pay, signed_in

pytestmark = pytest.mark.timeout(120)


def test_a_code_and_an_address_go_with_a_plan_and_not_with_a_payment_intent(running: Running) -> None:
    customer = signed_in(running)
    path, plan = "/api/stripe/create-subscription", {"price_id": "plan_starter"}
    at_home = {"address": {"country": "DE", "postal_code": "10115"}}

    coded = customer.post(path, json=plan | {"promotion_code": "SPRING25"})
    nowhere = customer.post(path, json=plan | {"address": {"country": "Germany"}})
    begun = customer.post(path, json=plan | at_home)
    intent = customer.post(
        "/v1/payment-intents",
        json={"price": "pack_100", "promotion_code": "SPRING25"},
        headers={"Idempotency-Key": "coded"},
    )

    assert (coded.status_code, coded.json()["code"], coded.json()["reason"]) == (
        422,
        "promotion_code_invalid",
        "switched_off",
    )
    assert (nowhere.status_code, nowhere.json()["code"]) == (422, "invalid_request")
    assert begun.status_code == 200, begun.text
    raw = running.sandbox.http()
    owner = raw.get(f"/v1/subscriptions/{begun.json()['subscription_id']}").json()["customer"]
    # Nobody reckons a tax here, so nobody needs to know.
    assert raw.get(f"/v1/customers/{owner}").json()["address"] is None
    assert (intent.status_code, intent.json()["code"]) == (422, "invalid_request")
    assert "promotion_code" in intent.text


def test_a_payment_shows_net_tax_and_total(running: Running) -> None:
    customer = signed_in(running)
    opened = customer.post("/api/stripe/create-checkout-session", json={"price_id": "pack_100", **URLS})
    pay(running, opened.json()["session_id"])
    await_credits(running, 100)

    [payment] = customer.get("/v1/payments").json()["data"]

    assert [payment[f"{name}_minor"] for name in ("amount", "net", "tax", "total")] == [1000, 1000, 0, 1000]

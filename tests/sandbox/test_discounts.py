"""Coupons and promotion codes in sessions, invoices and subscriptions."""

from typing import Any

import pytest
import stripe

from sandbox import life as playing
from sandbox.life import LEEWAY, Life, at
from sandbox.process import Running

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def life(sandbox: Running, client: stripe.StripeClient) -> Life:
    """A customer with a good card, on 1 April."""
    return playing.begin(sandbox, client, "2026-04-01")


def coupon(life: Life, **fields: Any) -> str:
    """Make a coupon."""
    params: Any = {"percent_off": 25, "duration": "forever"} | fields
    wanted: Any = {key: value for key, value in params.items() if value is not None}
    return life.client.v1.coupons.create(wanted).id


def session(life: Life, **more: Any) -> stripe.checkout.Session:
    """Open a session for two things of 10.01 each."""
    once = {"currency": "usd", "unit_amount": 1001, "product_data": {"name": "Pack"}}
    params: Any = {
        "mode": "payment",
        "customer": life.customer,
        "line_items": [{"price_data": once, "quantity": 1}, {"price_data": once, "quantity": 1}],
        "success_url": "https://shop.example/done",
    }
    return life.client.v1.checkout.sessions.create(params | more)


@pytest.mark.parametrize(
    ("duration", "totals"),
    [
        ({"duration": "once"}, [1500, 2000, 2000, 2000]),
        ({"duration": "repeating", "duration_in_months": 2}, [1500, 1500, 2000, 2000]),
        ({"duration": "forever"}, [1500, 1500, 1500, 1500]),
    ],
)
def test_a_coupon_lasts_as_long_as_it_says(life: Life, duration: dict[str, Any], totals: list[int]) -> None:
    code = coupon(life, **duration)

    subscription = life.subscribe(life.price(2000), discounts=[{"coupon": code}])
    life.client.v1.coupons.delete(code)
    life.until(at("2026-07-01") + LEEWAY)

    invoices = life.invoices(subscription)
    assert [invoice["total"] for invoice in invoices] == totals
    assert invoices[0]["total_discount_amounts"][0]["amount"] == 500
    assert invoices[0]["lines"]["data"][0]["discount_amounts"][0]["amount"] == 500


def test_a_change_credits_what_was_really_paid(life: Life) -> None:
    subscription = life.subscribe(life.price(3000), discounts=[{"coupon": coupon(life, percent_off=50)}])
    life.until(at("2026-04-16"))

    life.update(
        subscription,
        items=[{"id": subscription["items"]["data"][0]["id"], "price": life.price(6000)}],
        proration_behavior="always_invoice",
    )

    assert [line["amount"] for line in life.invoices(subscription)[-1]["lines"]["data"]] == [-750, 1500]


def test_an_amount_off_is_shared_to_the_last_cent(life: Life) -> None:
    code = coupon(life, percent_off=None, amount_off=101, currency="usd", duration="once")

    opened = session(life, discounts=[{"coupon": code}], invoice_creation={"enabled": True})
    life.sandbox.control(f"checkout/sessions/{opened.id}/pay")

    done = life.client.v1.checkout.sessions.retrieve(
        opened.id, {"expand": ["line_items", "invoice"]}
    ).to_dict()
    lines = done["line_items"]["data"]
    assert (done["amount_subtotal"], done["amount_total"]) == (2002, 1901)
    assert [line["amount_discount"] for line in lines] == [50, 51]
    assert done["total_details"]["amount_discount"] == 101
    assert (done["invoice"]["total"], done["invoice"]["amount_paid"]) == (1901, 1901)
    assert life.client.v1.coupons.retrieve(code).times_redeemed == 1


def test_everything_off_needs_no_payment(life: Life) -> None:
    opened = session(life, discounts=[{"coupon": coupon(life, percent_off=100)}])

    life.sandbox.control(f"checkout/sessions/{opened.id}/pay")

    done = life.client.v1.checkout.sessions.retrieve(opened.id)
    assert (done.amount_total, done.payment_intent, done.payment_status) == (0, None, "no_payment_required")


def test_a_code_is_typed_by_the_buyer(life: Life) -> None:
    word = "SPRING" + life.customer[-6:]
    promotion: Any = {"type": "coupon", "coupon": coupon(life, duration="once")}
    made = life.client.v1.promotion_codes.create({"promotion": promotion, "code": word, "max_redemptions": 1})
    opened = session(life, allow_promotion_codes=True)

    with life.sandbox.http("") as http:
        wrong = http.post(f"/c/pay/{opened.id}/code", data={"promotionCode": "NONE"}, follow_redirects=True)
        right = http.post(
            f"/c/pay/{opened.id}/code", data={"promotionCode": word.lower()}, follow_redirects=True
        )
    life.sandbox.control(f"checkout/sessions/{opened.id}/pay")

    done = life.client.v1.checkout.sessions.retrieve(opened.id)
    assert "This code is invalid" in wrong.text
    assert "$15.02" in right.text
    assert (done.amount_total, done.payment_status) == (1502, "paid")
    assert done.to_dict()["discounts"] == [{"coupon": None, "promotion_code": made.id}]
    with pytest.raises(stripe.InvalidRequestError) as refused:
        session(life, discounts=[{"promotion_code": made.id}])
    assert refused.value.code == "promotion_code_invalid"
    assert [one.id for one in life.client.v1.promotion_codes.list({"code": word}).data] == [made.id]


def test_a_free_first_month_in_checkout_asks_for_a_card(life: Life) -> None:
    opened = life.client.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "customer": life.customer,
            "line_items": [{"price": life.price(2000), "quantity": 1}],
            "success_url": "https://shop.example/done",
            "discounts": [{"coupon": coupon(life, percent_off=100, duration="once")}],
        }
    )

    paid = life.sandbox.control(f"checkout/sessions/{opened.id}/pay")
    (subscription,) = life.client.v1.subscriptions.list({"customer": life.customer}).data
    life.until(at("2026-05-01") + LEEWAY)

    assert (opened.amount_total, paid["outcome"]) == (0, "no_payment_required")
    assert [one["total"] for one in life.invoices(subscription.to_dict())] == [0, 2000]
    assert life.invoices(subscription.to_dict())[-1]["status"] == "paid"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"percent_off": None}, "percent_off"),
        ({"percent_off": 101}, "percent_off"),
        ({"percent_off": None, "amount_off": 5}, "currency"),
        ({"duration": "repeating"}, "duration_in_months"),
    ],
)
def test_a_coupon_that_makes_no_sense_is_refused(life: Life, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        coupon(life, **fields)

    assert refused.value.param == param

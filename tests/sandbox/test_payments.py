"""Payment intents, payment methods and refunds through the official SDK."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import stripe

from sandbox.conftest import Shop

pytestmark = pytest.mark.timeout(60)


def error_of(refusal: stripe.StripeError) -> dict[str, Any]:
    """Return the error object that came with a refusal."""
    body = refusal.json_body
    assert isinstance(body, dict)
    error = body["error"]
    assert isinstance(error, dict)
    return error


def paid_intent(shop: Shop, amount: int = 1000) -> stripe.PaymentIntent:
    """Take a payment at once."""
    return shop.client.v1.payment_intents.create(
        {
            "amount": amount,
            "currency": "usd",
            "customer": shop.customer,
            "payment_method": "pm_card_visa",
            "confirm": True,
            "metadata": {"row": "1"},
        }
    )


def test_a_confirmed_intent_is_charged(shop: Shop) -> None:
    intent = paid_intent(shop)

    charge = shop.client.v1.charges.retrieve(str(intent.latest_charge))

    assert (intent.status, intent.amount_received) == ("succeeded", 1000)
    assert (charge.status, charge.paid, charge.amount_captured) == ("succeeded", True, 1000)
    assert charge.metadata.to_dict() == {"row": "1"}


def test_a_declined_intent_can_be_confirmed_with_another_card(shop: Shop) -> None:
    with pytest.raises(stripe.CardError) as refused:
        shop.client.v1.payment_intents.create(
            {
                "amount": 700,
                "currency": "usd",
                "payment_method": "pm_card_chargeDeclinedInsufficientFunds",
                "confirm": True,
            }
        )
    error = error_of(refused.value)
    failed = error["payment_intent"]

    assert (error["code"], error["decline_code"]) == ("card_declined", "insufficient_funds")
    assert failed["status"] == "requires_payment_method"
    done = shop.client.v1.payment_intents.confirm(failed["id"], {"payment_method": "pm_card_visa"})
    assert (done.status, done.last_payment_error) == ("succeeded", None)


def test_an_absent_buyer_cannot_authenticate(shop: Shop) -> None:
    params = {
        "amount": 700,
        "currency": "usd",
        "payment_method": "pm_card_authenticationRequired",
        "confirm": True,
    }

    present = shop.client.v1.payment_intents.create(params)  # type: ignore[arg-type]
    with pytest.raises(stripe.CardError) as refused:
        shop.client.v1.payment_intents.create(params | {"off_session": True})  # type: ignore[arg-type]
    shop.sandbox.control(f"payment_intents/{present.id}/authenticate", outcome="complete")

    assert present.status == "requires_action"
    assert refused.value.code == "authentication_required"
    assert shop.client.v1.payment_intents.retrieve(present.id).status == "succeeded"


def test_after_the_bank_the_buyer_returns_with_the_result(shop: Shop) -> None:
    intent = shop.client.v1.payment_intents.create(
        {
            "amount": 700,
            "currency": "usd",
            "payment_method": "pm_card_authenticationRequired",
            "confirm": True,
            "return_url": "https://shop.example/back?order=7",
        }
    )
    assert intent.next_action is not None
    step = intent.next_action.redirect_to_url
    assert step is not None

    with shop.sandbox.http() as http:
        answer = http.post(str(step.url), data={"result": "fail"})
        again = http.get(str(step.url))

    assert answer.status_code == 303
    place = answer.headers["location"]
    assert place.startswith(f"https://shop.example/back?order=7&payment_intent={intent.id}&")
    assert place.endswith("redirect_status=failed")
    assert again.status_code == 404
    assert shop.client.v1.payment_intents.retrieve(intent.id).status == "requires_payment_method"


def test_an_ended_intent_stays_as_it_is(shop: Shop) -> None:
    intent = paid_intent(shop)

    for act in (shop.client.v1.payment_intents.cancel, shop.client.v1.payment_intents.confirm):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            act(intent.id)
        assert refused.value.code == "payment_intent_unexpected_state"


def test_a_card_is_saved_and_let_go(shop: Shop) -> None:
    method = shop.client.v1.payment_methods.create(
        {
            "type": "card",
            "card": {"number": "5555555555554444", "exp_month": 12, "exp_year": 2034, "cvc": "123"},
        }
    )
    assert method.card is not None
    assert (method.card.brand, method.card.last4) == ("mastercard", "4444")

    shop.client.v1.payment_methods.attach(method.id, {"customer": shop.customer})
    saved = shop.client.v1.customers.payment_methods.list(shop.customer)
    shop.client.v1.payment_methods.detach(method.id)
    left = shop.client.v1.payment_methods.list({"customer": shop.customer})

    assert [one.id for one in saved.data] == [method.id]
    assert left.data == []


def test_the_number_of_a_card_is_never_shown(shop: Shop) -> None:
    number = "4000056655665556"
    shop.client.v1.payment_methods.create(
        {"type": "card", "card": {"number": number, "exp_month": 1, "exp_year": 2035}}
    )
    http = shop.sandbox.http()

    seen = http.get("/v1/payment_methods?limit=100").text + http.get("/v1/events?limit=100").text

    assert number[-4:] in seen
    assert number not in seen


def test_a_card_that_is_no_test_card_is_declined(shop: Shop) -> None:
    with pytest.raises(stripe.CardError) as refused:
        shop.client.v1.payment_methods.create(
            {"type": "card", "card": {"number": "4111111111111111", "exp_month": 1, "exp_year": 2035}}
        )

    assert error_of(refused.value)["decline_code"] == "test_mode_live_card"


def test_refunds_add_up_and_never_exceed_the_charge(shop: Shop) -> None:
    intent = paid_intent(shop)
    mark = shop.last_event()

    first = shop.client.v1.refunds.create({"payment_intent": intent.id, "amount": 300})
    with pytest.raises(stripe.InvalidRequestError, match=r"greater than unrefunded amount .* \(700\)"):
        shop.client.v1.refunds.create({"payment_intent": intent.id, "amount": 701})
    rest = shop.client.v1.refunds.create({"charge": str(intent.latest_charge)})
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.client.v1.refunds.create({"payment_intent": intent.id})

    assert (first.amount, rest.amount, refused.value.code) == (300, 700, "charge_already_refunded")
    events = shop.events_since(mark)
    assert [event.type for event in events] == [
        "refund.created",
        "charge.refunded",
        "refund.updated",
    ] * 2
    refunded = [event.data.object for event in events if event.type == "charge.refunded"]
    assert [(one["amount_refunded"], one["refunded"]) for one in refunded] == [
        (300, False),
        (1000, True),
    ]
    assert events[4].data.to_dict()["previous_attributes"] == {
        "amount_refunded": 300,
        "refunded": False,
    }


def test_two_buyers_at_once_pay_a_session_once(shop: Shop) -> None:
    session = shop.session()
    http = shop.sandbox.http()
    path = f"/_sandbox/checkout/sessions/{session.id}/pay"

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: http.post(path, json={}).status_code, range(8)))

    assert sorted(answers) == [200] + [400] * 7
    charges = shop.client.v1.charges.list({"customer": shop.customer})
    assert [charge.status for charge in charges.data] == ["succeeded"]


def test_a_payment_page_is_confirmed_as_the_cli_does(shop: Shop) -> None:
    session = shop.session()
    http = shop.sandbox.http()
    path = f"/v1/payment_pages/{session.id}/confirm"

    wrong = http.post(path, data={"payment_method": "pm_card_visa", "expected_amount": "1"})
    right = http.post(path, data={"payment_method": "pm_card_visa", "expected_amount": "1000"})

    assert wrong.json()["error"]["code"] == "checkout_amount_mismatch"
    assert right.json()["payment_status"] == "paid"


def test_the_balance_is_what_was_taken_less_fees_and_refunds(shop: Shop) -> None:
    def available() -> int:
        return shop.client.v1.balance.retrieve().available[-1].amount

    before = available()
    intent = paid_intent(shop, 10_000)
    shop.client.v1.refunds.create({"payment_intent": intent.id, "amount": 4_000})

    assert available() - before == 10_000 - (290 + 30) - 4_000

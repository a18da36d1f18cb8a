"""Setup intents and saved payment methods: 3-D Secure once, charges without the buyer, cards that renew themselves."""

from typing import Any

import pytest
import stripe

from sandbox import life as playing
from sandbox.life import Life
from sandbox.process import Running

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def life(sandbox: Running, client: stripe.StripeClient) -> Life:
    """A customer without a card."""
    return playing.begin(sandbox, client, "2026-04-01", card=None)


def off_session(life: Life, method: str, amount: int = 900) -> stripe.PaymentIntent:
    """Charge a saved card while the buyer is away."""
    params: Any = {"amount": amount, "currency": "usd", "customer": life.customer, "payment_method": method}
    return life.client.v1.payment_intents.create(params | {"confirm": True, "off_session": True})


def test_a_card_is_set_up_and_charged_later(life: Life) -> None:
    setup = life.client.v1.setup_intents.create({"customer": life.customer, "metadata": {"row": "1"}})

    done = life.client.v1.setup_intents.confirm(setup.id, {"payment_method": "pm_card_visa"})

    assert (setup.status, done.status) == ("requires_payment_method", "succeeded")
    assert off_session(life, str(done.payment_method)).status == "succeeded"
    assert life.told("setup_intent.*", "payment_method.attached") == [
        "setup_intent.created",
        "payment_method.attached",
        "setup_intent.succeeded",
    ]


@pytest.mark.parametrize("passes", [True, False])
def test_a_card_that_asks_once_asks_no_more_after_setup(life: Life, *, passes: bool) -> None:
    params: Any = {
        "customer": life.customer,
        "payment_method": "pm_card_authenticationRequiredOnSetup",
        "confirm": True,
        "return_url": "https://shop.example/back",
    }
    setup = life.client.v1.setup_intents.create(params)
    assert setup.next_action is not None
    step = setup.next_action.to_dict()["redirect_to_url"]["url"]

    with life.sandbox.http("") as http:
        page = http.get(step).text
        back = http.post(step, data={"result": "complete" if passes else "fail"})

    after = life.client.v1.setup_intents.retrieve(setup.id)
    assert "a card may be saved" in page
    assert f"setup_intent={setup.id}" in back.headers["location"]
    assert after.status == ("succeeded" if passes else "requires_payment_method")
    if passes:
        assert off_session(life, str(after.payment_method)).status == "succeeded"
    else:
        assert life.told("setup_intent.setup_failed") == ["setup_intent.setup_failed"]


def test_a_declined_card_is_not_saved(life: Life) -> None:
    params: Any = {"customer": life.customer, "payment_method": "pm_card_chargeDeclined", "confirm": True}

    with pytest.raises(stripe.CardError) as refused:
        life.client.v1.setup_intents.create(params)

    body: Any = refused.value.json_body
    assert body["error"]["setup_intent"]["status"] == "requires_payment_method"
    assert life.client.v1.customers.payment_methods.list(life.customer).data == []
    cancelled = life.client.v1.setup_intents.cancel(body["error"]["setup_intent"]["id"])
    assert cancelled.status == "canceled"


def test_a_session_in_setup_mode_saves_a_card(life: Life) -> None:
    session = life.client.v1.checkout.sessions.create(
        {
            "mode": "setup",
            "customer": life.customer,
            "currency": "usd",
            "success_url": "https://shop.example/done",
            "setup_intent_data": {"metadata": {"row": "2"}},
        }
    )

    life.sandbox.control(f"checkout/sessions/{session.id}/pay")

    done = life.client.v1.checkout.sessions.retrieve(session.id, {"expand": ["setup_intent"]}).to_dict()
    assert (done["status"], done["payment_status"], done["amount_total"]) == (
        "complete",
        "no_payment_required",
        None,
    )
    assert (done["setup_intent"]["status"], done["setup_intent"]["metadata"]) == ("succeeded", {"row": "2"})
    assert off_session(life, done["setup_intent"]["payment_method"]).status == "succeeded"


@pytest.mark.parametrize(
    ("card", "code", "decline_code"),
    [
        ("pm_card_chargeCustomerFail", "card_declined", "generic_decline"),
        ("pm_card_authenticationRequired", "authentication_required", "authentication_required"),
    ],
)
def test_an_absent_buyer_is_refused_with_the_payment_in_hand(
    life: Life, card: str, code: str, decline_code: str
) -> None:
    method = life.client.v1.payment_methods.attach(card, {"customer": life.customer})

    with pytest.raises(stripe.CardError) as refused:
        off_session(life, method.id)

    error: Any = refused.value.json_body
    failed = error["error"]["payment_intent"]
    assert refused.value.http_status == 402
    assert (error["error"]["code"], error["error"]["decline_code"]) == (code, decline_code)
    assert failed["status"] == "requires_payment_method"
    assert failed["last_payment_error"]["payment_method"]["id"] == method.id
    assert "payment_intent.payment_failed" in life.told()


def test_a_saved_card_renews_itself(life: Life) -> None:
    method = life.pay_with("pm_card_visa")

    life.sandbox.control(f"payment_methods/{method}/renew", last4="1881", exp_year=2039)

    assert life.client.v1.payment_methods.retrieve(method).to_dict()["card"]["last4"] == "1881"
    (event,) = life.events("payment_method.automatically_updated")
    assert event["data"]["previous_attributes"] == {"card": {"last4": "4242", "exp_year": 2034}}

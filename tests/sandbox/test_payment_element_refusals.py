"""What the stand-in for Stripe.js refuses: what Stripe would, and what it does not have itself, never in silence."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from sandbox.conftest import Shop
from sandbox.merchant import CONFIRM, DEFERRED, KEY, STAY, Merchant, fields, fill, intent, merchant, now

pytestmark = pytest.mark.timeout(120)

REFUSED = {
    "Stripe('sk_test_secret')": "publishable key",
    "Stripe('pk_li' + 've_1')": "never live ones",
    "stripe.elements({clientSecret: given.elements.clientSecret}).create('iban')": "not iban",
    "stripe.elements({clientSecret: 'pi_1'})": "client secret of the form",
    "stripe.elements({mode: 'payment'})": "needs an amount",
    "stripe.elements({}).create('payment')": "must pass a clientSecret or a mode",
    "elements.create('payment')": "Can only create one Element",
    "stripe.confirmPayment({elements})": "return_url is needed",
    "stripe.confirmSetup({elements, redirect: 'if_required'})": "is of a payment_intent",
    "stripe.createToken(element)": "does not have stripe.createToken()",
}
"""What a page may write, and what is said to it."""


@pytest.fixture(scope="module")
def store() -> Iterator[Merchant]:
    """The shop's own pages."""
    with merchant() as one:
        yield one


@pytest.mark.parametrize(
    ("paying", "amount", "said"),
    [
        (
            STAY.replace("elements,", "elements, clientSecret: location.hash.slice(1),"),
            1000,
            "must be called before",
        ),
        (DEFERRED, 900, "undefined: The amount and currency given to elements() (900 usd)"),
        (CONFIRM, 1000, "a clientSecret is needed"),
    ],
)
def test_what_stripe_would_refuse_a_page_is_refused(
    shop: Shop, page: Page, store: Merchant, paying: str, amount: int, said: str
) -> None:
    made = intent(shop)
    mode: dict[str, Any] = {"mode": "payment", "amount": amount, "currency": "usd"}
    page.goto(store.form(shop.sandbox.base_url, paying, **mode) + f"#{made.client_secret}")
    fill(fields(page), "4242424242424242")

    page.locator("#pay").click()

    expect(page.locator("#message")).to_contain_text(said)
    assert now(shop, made).status == "requires_payment_method"


def test_a_wrong_secret_shows_nothing_and_the_element_says_so(
    shop: Shop, page: Page, store: Merchant
) -> None:
    made = intent(shop)
    page.goto(store.form(shop.sandbox.base_url, STAY, clientSecret=f"{made.id}_secret_guessed"))

    page.wait_for_function("heard.some(([name]) => name === 'loaderror')")

    seen = page.evaluate("secret => stripe.retrievePaymentIntent(secret)", f"{made.id}_secret_guessed")
    assert "does not match" in seen["error"]["message"]
    assert "paymentIntent" not in seen


def test_what_it_does_not_have_throws(shop: Shop, page: Page, store: Merchant) -> None:
    page.goto(store.form(shop.sandbox.base_url, STAY, clientSecret=intent(shop).client_secret))

    problems = {
        code: page.evaluate(f"(async () => {code})().then(() => '', (problem) => `${{problem}}`)")
        for code in REFUSED
    }

    assert [code for code in REFUSED if not problems[code].startswith("IntegrationError: ")] == []
    assert [code for code, said in REFUSED.items() if said not in problems[code]] == []


@pytest.mark.parametrize(
    ("what", "question", "said"),
    [
        ("confirm", {"params": {"payment_method": "pm_card_visa"}}, ""),
        (
            "confirm",
            {"params": {"payment_method": "pm_card_visa", "amount": 1}},
            "does not support `confirmParams.amount`",
        ),
        ("confirm", {"client_secret": "pi_1_secret_1"}, "No such payment_intent: 'pi_1'"),
        ("confirm", {"params": {}}, "missing a payment method"),
        ("confirm", {"params": "spam"}, "params must be an object"),
        ("confirm", {"params": {"payment_method_data": "spam"}}, "payment_method_data must be an object"),
        ("retrieve", {"key": "sk_test_secret"}, "publishable key"),
        ("authenticate", {"outcome": "complete"}, "needs no authentication"),
        (
            "payment_methods",
            {"params": {"type": "card", "card": {"number": "4242"}}},
            "Missing required param",
        ),
    ],
)
def test_the_frames_questions_are_answered_in_json_whatever_they_are(
    shop: Shop, what: str, question: dict[str, Any], said: str
) -> None:
    made = intent(shop)

    asked = {"key": KEY, "client_secret": made.client_secret} | question
    answer = httpx.post(f"{shop.sandbox.base_url}/elements/{what}", json=asked)

    assert answer.status_code == 200
    if said:
        assert said in answer.json()["error"]["message"]
        assert now(shop, made).status == "requires_payment_method"
    else:
        assert answer.json()["intent"]["status"] == "succeeded"

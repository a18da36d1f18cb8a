"""Stripe's own loaders, from npm, take the sandbox's script for Stripe's: ``loadStripe``, and React in strict mode."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from sandbox.conftest import Shop
from sandbox.merchant import Merchant, bank, fields, fill, merchant

pytestmark = pytest.mark.timeout(120)

_HEAD = "<!doctype html><meta charset=utf-8><title>Shop</title><link rel=icon href=data:,>"
LOADED = (
    _HEAD
    + """
<form id="form"><div id="element"></div><p id="message"></p><button id="pay">Pay</button></form>
<script type="module">
import { loadStripe } from "/npm/@stripe/stripe-js/dist/pure.mjs";
const stripe = await loadStripe("pk_test_merchant");
const elements = stripe.elements({ clientSecret: location.hash.slice(1) });
elements.create("payment").mount("#element");
document.getElementById("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { error, paymentIntent } = await stripe.confirmPayment({ elements, redirect: "if_required" });
  document.getElementById("message").textContent = error?.code ?? paymentIntent.status;
});
</script>
"""
)
REACT = (
    _HEAD
    + """
<div id="root"></div>
<script src="SANDBOX/endive/stripe.js"></script>
<script src="/npm/react/umd/react.development.js"></script>
<script src="/npm/react-dom/umd/react-dom.development.js"></script>
<script src="/npm/@stripe/react-stripe-js/dist/react-stripe.umd.js"></script>
<script>
const { Elements, PaymentElement, useStripe, useElements } = ReactStripe;
const part = React.createElement;
function Checkout() {
  const [stripe, elements] = [useStripe(), useElements()];
  const [message, say] = React.useState("");
  const [complete, told] = React.useState(false);
  const pay = async (event) => {
    event.preventDefault();
    const { error, paymentIntent } = await stripe.confirmPayment({ elements, redirect: "if_required" });
    say(error?.code ?? paymentIntent.status);
  };
  return part("form", { onSubmit: pay }, part(PaymentElement, { onChange: (change) => told(change.complete) }),
    part("p", { id: "message" }, message), part("button", { id: "pay", disabled: !complete }, "Pay"));
}
const options = { clientSecret: location.hash.slice(1), appearance: { variables: { colorPrimary: "#7a2fd0" } } };
const app = part(Elements, { stripe: Stripe("pk_test_merchant"), options }, part(Checkout));
ReactDOM.createRoot(document.getElementById("root")).render(part(React.StrictMode, null, app));
</script>
"""
)


@pytest.fixture(scope="module")
def store() -> Iterator[Merchant]:
    """The shop's own pages."""
    with merchant() as one:
        yield one


def secret(shop: Shop) -> str:
    """The client secret of a payment intent of 10.00 USD."""
    made = shop.client.v1.payment_intents.create({"amount": 1000, "currency": "usd"})
    assert made.client_secret is not None
    return made.client_secret


def test_the_loader_gets_it_at_stripes_address(shop: Shop, page: Page, store: Merchant) -> None:
    asked: list[str] = []
    script = httpx.get(f"{shop.sandbox.base_url}/endive/stripe.js").text
    page.on("request", lambda one: asked.append(one.url) if "js.stripe.com" in one.url else None)
    page.route(
        "https://js.stripe.com/**", lambda route: route.fulfill(body=script, content_type="text/javascript")
    )
    page.goto(f"{store.page(LOADED)}#{secret(shop)}")
    fill(fields(page), "4242424242424242")

    page.locator("#pay").click()

    expect(page.locator("#message")).to_have_text("succeeded")
    assert asked == ["https://js.stripe.com/endive/stripe.js"]


@pytest.mark.parametrize(
    ("passes", "said"), [(True, "succeeded"), (False, "payment_intent_authentication_failure")]
)
def test_react_in_strict_mode_pays_and_fails(
    shop: Shop, page: Page, store: Merchant, *, passes: bool, said: str
) -> None:
    page.goto(f"{store.page(REACT.replace('SANDBOX', shop.sandbox.base_url))}#{secret(shop)}")
    expect(page.locator("iframe")).to_have_count(1)
    fill(fields(page), "4000000000000002")
    page.locator("#pay").click()
    expect(page.locator("#message")).to_have_text("card_declined")
    fill(fields(page), "4000002500003155")

    page.locator("#pay").click()
    bank(page).get_by_role("button", name="Complete" if passes else "Fail").click()

    expect(page.locator("#message")).to_have_text(said)

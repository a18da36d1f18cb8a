"""A shop's own web server and its page with the payment form, as a developer writes one by Stripe's documents."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import FrameLocator, Page

from sandbox.conftest import Shop

KEY = "pk_test_merchant"
CONFIRM = "stripe.confirmPayment({elements, confirmParams: {return_url: given.back}})"
STAY = "stripe.confirmPayment({elements, redirect: 'if_required'})"
DEFERRED = """(async () => {
  const { error } = await elements.submit();
  if (error) return { error };
  return stripe.confirmPayment({ elements, clientSecret: location.hash.slice(1), redirect: "if_required" });
})()"""
_PACKAGES = Path(__file__).resolve().parents[2] / "tools" / "stripe_js" / "node_modules"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Shop</title>
<link rel="icon" href="data:,">
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 1.5rem auto; padding: 0 1rem; }
button { width: 100%; min-height: 2.9rem; margin-top: 1rem; font: inherit; font-weight: 600; border: 0;
  border-radius: 6px; background: #0f5bd7; color: #fff; }
</style>
</head>
<body>
<h1>Shop</h1>
<form id="form"><div id="element"></div><p id="message" role="alert"></p><button id="pay">Pay</button></form>
<script src="SCRIPT"></script>
<script>
const given = GIVEN;
const stripe = Stripe(given.key);
const elements = stripe.elements(given.elements);
const element = elements.create(given.type, given.options);
const heard = [];
for (const name of ["ready", "change", "blur", "loaderror"]) element.on(name, (told) => heard.push([name, told]));
element.mount("#element");
const say = (text) => { document.getElementById("message").textContent = text; };
const form = document.getElementById("form");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  say("");
  try {
    const { error, paymentIntent, setupIntent } = await PAYING;
    say(error ? `${error.code}: ${error.message}` : (paymentIntent ?? setupIntent).status);
  } catch (problem) {
    say(`${problem.name}: ${problem.message}`);
  }
});
</script>
</body>
</html>
"""


@dataclass
class Merchant:
    """Where the shop is; pages are served once they are written."""

    url: str
    pages: dict[str, bytes] = field(default_factory=dict)

    def form(
        self,
        sandbox_url: str,
        paying: str,
        *,
        script: str | None = None,
        kind: str = "payment",
        options: dict[str, Any] | None = None,
        **elements: Any,
    ) -> str:
        """Write a page with an element, in which ``paying`` (JavaScript) pays; returns its address."""
        given = {"key": KEY, "type": kind, "options": options or {}, "elements": elements, "back": self.back}
        html = _PAGE.replace("SCRIPT", script or f"{sandbox_url}/endive/stripe.js")
        html = html.replace("GIVEN", json.dumps(given)).replace("PAYING", paying)
        return self.page(html)

    def page(self, html: str) -> str:
        """Put a page there; returns its address. What is in ``tools/stripe_js`` is below ``/npm/``."""
        path = f"/pay/{len(self.pages)}"
        self.pages[path] = html.encode()
        return self.url + path

    @property
    def back(self) -> str:
        """Where a buyer comes back to."""
        return f"{self.url}/done?order=7"


def _package_file(path: str) -> bytes:
    file = _PACKAGES / path
    assert file.exists(), "Stripe's loaders are missing: npm ci --prefix tools/stripe_js"
    return file.read_bytes()


@contextmanager
def merchant() -> Iterator[Merchant]:
    """Serve a shop on a free port."""
    shop = Merchant("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            other = b"<!doctype html><title>Shop</title><link rel=icon href=data:,><h1>Thank you</h1>"
            body, kind = shop.pages.get(self.path, other), "html"
            if self.path.startswith("/npm/"):
                body, kind = _package_file(self.path.removeprefix("/npm/")), "javascript"
            self.send_response(200)
            self.send_header("Content-Type", f"text/{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep the test output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    # By another name than the sandbox: another origin and another site.
    shop.url = f"http://localhost:{server.server_address[1]}"
    try:
        yield shop
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def fields(page: Page, title: str = "Secure payment input frame") -> FrameLocator:
    """The frame with the card's fields."""
    return page.frame_locator(f"iframe[title='{title}']")


def fill(frame: FrameLocator, number: str, *, expiry: str = "1234", cvc: str = "123") -> None:
    """Type as a person does, key by key."""
    for label, text in (("Card number", number), ("Expiration date", expiry), ("Security code", cvc)):
        frame.get_by_label(label).fill("")
        frame.get_by_label(label).press_sequentially(text)


def bank(page: Page) -> FrameLocator:
    """The bank's question."""
    return page.frame_locator("iframe[title='3-D Secure authentication']")


def intent(shop: Shop, **changes: Any) -> Any:
    """A payment intent of 10.00 USD."""
    wish = {
        "amount": 1000,
        "currency": "usd",
        "customer": shop.customer,
        "metadata": {"secret": "of the shop"},
    }
    return shop.client.v1.payment_intents.create(wish | changes)  # type: ignore[arg-type]


def now(shop: Shop, made: Any) -> Any:
    """The intent as it is now."""
    return shop.client.v1.payment_intents.retrieve(made.id)

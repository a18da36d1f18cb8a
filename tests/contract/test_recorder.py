"""The recorder against a server that sends known faults: it finds each, and reads every page."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest
from contract import recorder, samples
from contract.node_types import Json

WRONG_CLASS = "event.data.object.object: 'price' is not one of ['product']"


class FaultyStripe(BaseHTTPRequestHandler):
    """Knows prices, on two pages, and events; lists prices as coupons; refuses products."""

    first = samples.price() | {"id": "price_1", "currency_options": None}
    second = samples.price() | {"id": "price_2", "colour": "red"}
    events: list[Json]

    def do_GET(self) -> None:
        """Answer one request."""
        asked = urlsplit(self.path)
        after = parse_qs(asked.query).get("starting_after")
        if asked.path == "/v1/prices":
            page = samples.page(self.second if after else self.first)
            self.answer(200, page | {"has_more": not after})
        elif asked.path in {"/v1/prices/price_1", "/v1/prices/price_2"}:
            self.answer(200, samples.price())
        elif asked.path == "/v1/events" and self.events:
            self.answer(200, samples.page(*self.events))
        elif asked.path == "/v1/coupons":
            self.answer(200, samples.page(samples.price()))
        elif asked.path == "/v1/products":
            self.answer(500, {"error": {"type": "api_error", "message": "broken"}})
        else:
            self.answer(404, {"error": {"type": "invalid_request_error", "message": "no route"}})

    def answer(self, status: int, body: Json) -> None:
        """Send JSON."""
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def server() -> Iterator[str]:
    """Run the faulty server on a free port and return its address."""
    FaultyStripe.events = [samples.event("product.created", samples.price())] * 2
    with ThreadingHTTPServer(("127.0.0.1", 0), FaultyStripe) as listening:
        thread = Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def test_every_fault_is_reported_once_with_its_place_and_source(server: str) -> None:
    assert sorted(recorder.deviations(server)) == [
        "GET /v1/coupons: python types: answer.data[0].object: 'price' is not one of 'coupon'",
        f"GET /v1/events: typescript types: {WRONG_CLASS}",
        "GET /v1/prices: python types: price.colour: unknown field",
        "GET /v1/prices: typescript types: price.colour: unknown field",
        "GET /v1/prices: typescript types: price.currency_options: null is not allowed",
        "GET /v1/products: answers 500: broken",
    ]


def test_the_recording_says_what_was_looked_at(server: str) -> None:
    recording = recorder.record(server)

    assert recording.kinds == {"price", "event"}
    assert recording.event_types == {"product.created"}
    assert recording.seen == 7


def test_a_sandbox_without_events_is_not_called_clean(server: str) -> None:
    FaultyStripe.events = []

    with pytest.raises(AssertionError, match="lists no events"):
        recorder.deviations(server)

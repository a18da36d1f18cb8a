"""A webhook endpoint for tests: a real HTTP server that keeps what it was sent.

Leaves judging the requests to the tests.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import stripe


@dataclass
class Received:
    """One request as it came in."""

    body: bytes
    signature: str
    at: float


@dataclass
class Receiver:
    """What came in, and how to answer."""

    url: str
    answers: list[int] = field(default_factory=list)
    """Statuses for the next requests; 200 when used up."""
    requests: list[Received] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def events(self, secret: str) -> list[stripe.Event]:
        """Return the received events, each verified by the official SDK."""
        with self.lock:
            got = list(self.requests)
        return [stripe.Webhook.construct_event(one.body, one.signature, secret) for one in got]

    def wait(self, count: int, seconds: float = 10) -> None:
        """Wait until `count` requests have come in."""
        self.until(lambda: len(self.requests) >= count, seconds)

    def until(self, true: Callable[[], bool], seconds: float = 10) -> None:
        """Wait until something is true; fails after `seconds`."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, f"only {len(self.requests)} requests came in"
            time.sleep(0.02)


class _Server(ThreadingHTTPServer):
    """Takes bursts: many deliveries at once are part of the tests."""

    daemon_threads = True
    request_queue_size = 256


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver on a free port for the length of a block."""
    receiver = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with receiver.lock:
                receiver.requests.append(Received(body, self.headers["Stripe-Signature"], time.monotonic()))
                status = receiver.answers.pop(0) if receiver.answers else 200
            self.send_response(status)
            if status in (301, 302, 307):
                self.send_header("Location", receiver.url)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test output clean."""

    server = _Server(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

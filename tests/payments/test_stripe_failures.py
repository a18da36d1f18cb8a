"""What Stripe's failures become, against a real HTTP server that fails as Stripe does."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tallybook.domain.errors import (
    BillingError,
    StripeOutcomeSealedError,
    StripeRefusedError,
    StripeUnavailableError,
)
from tallybook.stripe.gateway import PINNED_API_VERSION, StripeGateway

pytestmark = pytest.mark.timeout(60)
KEY = "sk_test_" + "of_the_failure_tests"
ACCOUNT: tuple[int, dict[str, Any], dict[str, str]] = (200, {"id": "acct_1", "object": "account"}, {})


def refusal(status: int, kind: str, **headers: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    """An answer with one of Stripe's errors."""
    error = {"type": kind, "message": f"A {kind} with {KEY[-4:]}", "code": "some_code"}
    return status, {"error": error}, headers


@dataclass
class Script:
    """Answers in turn; the last one again and again. ``heard`` are the requests' idempotency keys."""

    answers: list[tuple[int, dict[str, Any], dict[str, str]]]
    heard: list[str | None] = field(default_factory=list)
    versions: list[str | None] = field(default_factory=list)
    url: str = ""


@contextmanager
def scripted(*answers: tuple[int, dict[str, Any], dict[str, str]]) -> Iterator[Script]:
    """A server that plays Stripe by a script."""
    script = Script(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            script.heard.append(self.headers.get("Idempotency-Key"))
            script.versions.append(self.headers.get("Stripe-Version"))
            status, body, headers = script.answers.pop(0) if len(script.answers) > 1 else script.answers[0]
            raw = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(raw)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            logging.getLogger("scripted").debug(format, *args)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def customer(script: Script) -> str:
    """Create a customer there."""
    gateway = StripeGateway(KEY, api_base=script.url, api_version=PINNED_API_VERSION)
    try:
        return await gateway.create_customer(
            email="ada@example.com", metadata={}, idempotency_key="customer:7"
        )
    finally:
        await gateway.close()


async def test_a_request_to_slow_down_is_followed_with_the_same_key() -> None:
    limited = refusal(429, "invalid_request_error")
    with scripted(limited, limited, (200, {"id": "cus_1", "object": "customer"}, {})) as script:
        made = await customer(script)

    assert made == "cus_1"
    assert script.heard == ["customer:7"] * 3
    assert set(script.versions) == {PINNED_API_VERSION}


async def test_patience_with_rate_limits_ends() -> None:
    with scripted(refusal(429, "invalid_request_error")) as script, pytest.raises(StripeUnavailableError):
        await customer(script)

    assert script.heard == ["customer:7"] * 5


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (refusal(503, "api_error"), StripeUnavailableError),
        (refusal(500, "api_error"), StripeUnavailableError),
        (refusal(500, "api_error", **{"Idempotent-Replayed": "true"}), StripeOutcomeSealedError),
        (refusal(409, "invalid_request_error"), StripeUnavailableError),
        (refusal(400, "invalid_request_error"), StripeRefusedError),
        (refusal(400, "idempotency_error"), StripeRefusedError),
        (refusal(401, "invalid_request_error"), StripeRefusedError),
        (refusal(403, "invalid_request_error"), StripeRefusedError),
    ],
)
async def test_a_failure_becomes_the_refusal_that_says_whether_to_retry(
    answer: tuple[int, dict[str, Any], dict[str, str]], expected: type[BillingError]
) -> None:
    with scripted(answer) as script, pytest.raises(BillingError) as caught:
        await customer(script)

    assert type(caught.value) is expected
    assert set(script.heard) == {"customer:7"}


async def test_a_refused_key_is_explained_without_a_part_of_the_key() -> None:
    with (
        scripted(refusal(401, "invalid_request_error")) as script,
        pytest.raises(StripeRefusedError, match="STRIPE_SECRET_KEY") as caught,
    ):
        await customer(script)

    assert KEY[-4:] not in caught.value.message


async def test_nobody_there_is_an_outage() -> None:
    with pytest.raises(StripeUnavailableError):
        await customer(Script([], url="http://127.0.0.1:9"))


async def test_the_account_is_asked_for_once() -> None:
    with scripted(ACCOUNT) as script:
        gateway = StripeGateway(KEY, api_base=script.url, api_version=PINNED_API_VERSION)
        found = [await gateway.account() for _ in range(3)]
        await gateway.close()

    assert {account.account_id for account in found} == {"acct_1"}
    assert len(script.heard) == 1

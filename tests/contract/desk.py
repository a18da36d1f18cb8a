"""A running sandbox as the contract tests use it: through a Stripe client that checks every answer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import stripe
from contract.conforms import deviations
from contract.node_types import Json
from contract.recorder import KEY, Recording, record

from stripe_sandbox import spec

_SECONDS = 30
ERROR_TYPES = ("api_error", "card_error", "idempotency_error", "invalid_request_error")
"""As the docstring of ``ErrorObject.type`` lists them."""


class CheckingClient(stripe.RequestsClient):
    """The SDK's own HTTP client; holds every object that comes back against both sources."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        super().__init__(timeout=_SECONDS)
        self.found: list[str] = []
        self.answers = 0

    def request(  # type: ignore[override]  # the SDK's own two classes disagree
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        """Send a request and check what comes back, also the objects inside a refusal.

        The SDK declares text and returns bytes; it decodes them itself.
        """
        content: Any
        content, status, got = super().request(method, url, headers, post_data)
        place = f"{method.upper()} {httpx.URL(url).path}"
        body: Json = json.loads(content)
        if "error" in body:
            found = refusal_deviations(body["error"])
        else:
            found = deviations(body) + answer_deviations(method, url, body)
        self.answers += 1
        self.found.extend(f"{place}: {problem}" for problem in found)
        return content, status, got


def answer_deviations(method: str, url: str, body: Json) -> list[str]:
    """Check that an answer is of the class that its route returns."""
    route = spec.match(method, httpx.URL(url).path)
    assert route is not None, f"Stripe has no route {method} {url}"
    return spec.check_answer(route, body)


def refusal_deviations(error: Json) -> list[str]:
    """Check a refusal and the objects that it carries, such as the payment that was declined."""
    found = [f"python types: {problem}" for problem in spec.check_error(error)]
    if error.get("type") not in ERROR_TYPES:
        found.append(f"python types: error.type: {error.get('type')!r} is not one of {ERROR_TYPES}")
    carried = (value for value in error.values() if isinstance(value, dict))
    return found + [problem for value in carried for problem in deviations(value)]


@dataclass
class Desk:
    """A running sandbox, the SDK pointed at it, and its control API."""

    base_url: str
    http: CheckingClient = field(default_factory=CheckingClient)

    def __post_init__(self) -> None:
        """Make the client of the official SDK."""
        client = stripe.StripeClient(
            KEY,
            base_addresses={"api": self.base_url},
            http_client=self.http,
            max_network_retries=0,
        )
        self.stripe = client.v1

    def control(self, path: str, **body: object) -> Json:
        """Post to the control API; declines are answers, not errors."""
        answer = httpx.post(f"{self.base_url}/_sandbox/{path}", json=body, timeout=_SECONDS)
        content: Json = answer.json()
        return content

    def pay(self, session: str, **how: object) -> Json:
        """Pay a checkout session as a buyer would."""
        return self.control(f"checkout/sessions/{session}/pay", **how)

    def settle(self, session: str, outcome: str) -> Json:
        """End a delayed payment with ``succeed`` or ``fail``."""
        return self.control(f"checkout/sessions/{session}/settle", outcome=outcome)

    def verdict(self) -> Recording:
        """Look through the whole sandbox; deviations seen on the way are included."""
        recording = record(self.base_url)
        recording.deviations[:0] = self.http.found
        return recording

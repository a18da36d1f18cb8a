"""The main job over HTTP, each step with its result: sign in, run out, pay, receive credits, spend them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx

from tallybook.cli.demo.preparing import Ready
from tallybook.cli.demo.state import CUSTOMER_EMAIL, CUSTOMER_PASSWORD
from tallybook.cli.demo.steps import done, failed
from tallybook.cli.output import console

CARD = "4242424242424242"
GRANT_SECONDS = 30


class StepError(Exception):
    """A step of the walk did not do what it promises."""


def main_job(base_url: str, sandbox_url: str, ready: Ready) -> bool:
    """Walk every step; False, with the reason on the screen, when one fails."""
    console.rule("The main job", align="left")
    with (
        httpx.Client(base_url=base_url, headers={"X-API-Key": ready.api_key}, timeout=30) as http,
        httpx.Client(base_url=sandbox_url, timeout=30) as stripe,
    ):
        walker = _Walker(http, stripe, ready)
        for what, step in walker.steps():
            try:
                done(what, step())
            except (StepError, httpx.HTTPError, KeyError) as problem:
                failed(what, repr(problem))
                return False
    return True


class _Walker:
    def __init__(self, http: httpx.Client, stripe: httpx.Client, ready: Ready) -> None:
        self._http = http
        self._stripe = stripe
        self._ready = ready
        self._token = ""
        self._balance: float = 0
        self._session_id = ""
        self._bought = 1000

    def steps(self) -> list[tuple[str, Callable[[], str]]]:
        return [
            ("Customer signs in", self._sign_in),
            ("App checks what is available", self._check),
            ("App asks for more than there is", self._run_short),
            ("Customer opens Stripe Checkout", self._open_checkout),
            ("Customer pays with 4242…", self._pay),
            ("Webhook turned it into credits", self._receive),
            ("App spends 5 credits", self._spend),
            ("App holds 20, uses 12.5", self._hold),
            ("What is left adds up", self._balance_adds_up),
        ]

    def _post(
        self,
        path: str,
        body: dict[str, Any],
        headers: dict[str, str] | None = None,
        *,
        status: int = 200,
    ) -> Any:
        answer = self._http.post(path, json=body, headers=headers or {})
        if answer.status_code != status:
            raise StepError(f"{path} answered {answer.status_code}: {answer.text[:300]}")
        return answer.json()

    def _of_app(self, **more: Any) -> dict[str, Any]:
        return {"app_id": self._ready.app_id, "session_token": self._token, **more}

    def _sign_in(self) -> str:
        answer = self._post(
            "/api/cross-app/auth",
            {
                "app_id": self._ready.app_id,
                "email": CUSTOMER_EMAIL,
                "password": CUSTOMER_PASSWORD,
                "app_metadata": {"app_name": "Tallybook demo"},
            },
        )
        self._token = answer["session_token"]
        return f"user {answer['user']['user_id']}, permissions {', '.join(answer['permissions'])}"

    def _check(self) -> str:
        self._balance = self._available()
        return f"{self._balance:g} credits"

    def _available(self) -> float:
        answer = self._post("/api/cross-app/credits/check", self._of_app(required_credits=0))
        return float(answer["current_balance"])

    def _run_short(self) -> str:
        wanted = int(self._balance) + 5
        body = self._of_app(credits=wanted, service="demo", description="too much")
        answer = self._post("/api/cross-app/credits/consume", body, status=402)
        if answer["code"] != "insufficient_credits" or self._available() != self._balance:
            raise StepError(f"refused wrongly: {answer}")
        return f"402 {answer['code']}: asked for {wanted}, has {self._balance:g}; nothing was taken"

    def _open_checkout(self) -> str:
        body = {
            "price_id": "package_starter",
            "success_url": f"{self._http.base_url}/credits/success?session_id={{CHECKOUT_SESSION_ID}}",
            "cancel_url": f"{self._http.base_url}/credits",
            "mode": "payment",
        }
        answer = self._post(
            "/api/stripe/create-checkout-session", body, {"Authorization": f"Bearer {self._token}"}
        )
        self._session_id = answer["session_id"]
        return str(answer["url"])

    def _pay(self) -> str:
        answer = self._stripe.post(f"/_sandbox/checkout/sessions/{self._session_id}/pay", json={"card": CARD})
        if answer.status_code != 200:
            raise StepError(f"the sandbox answered {answer.status_code}: {answer.text[:300]}")
        return "Starter package, 10.00 USD"

    def _receive(self) -> str:
        started = time.monotonic()
        wanted = self._balance + self._bought
        while self._available() != wanted:
            if time.monotonic() - started > GRANT_SECONDS:
                raise StepError(f"{self._available():g} credits instead of {wanted:g}")
            time.sleep(0.05)
        self._balance = wanted
        return f"{wanted:g} credits after {time.monotonic() - started:.2f} s"

    def _spend(self) -> str:
        key = f"demo-{uuid.uuid4()}"
        body = self._of_app(credits=5, service="demo", description="Print job")
        first = self._post("/api/cross-app/credits/consume", body, {"Idempotency-Key": key})
        again = self._post("/api/cross-app/credits/consume", body, {"Idempotency-Key": key})
        self._balance -= 5
        if first != again or float(first["new_balance"]) != self._balance:
            raise StepError(f"a retry was answered differently: {first} {again}")
        return f"transaction {first['transaction_id']}, sent twice, taken once; {self._balance:g} left"

    def _hold(self) -> str:
        held = self._post(
            "/v1/holds",
            {"user_id": self._ready.user_id, "amount_micro": 20_000_000},
            {"Idempotency-Key": f"demo-{uuid.uuid4()}"},
            status=201,
        )
        settled = self._post(
            f"/v1/holds/{held['id']}/capture",
            {"amount_micro": 12_500_000},
            {"Idempotency-Key": f"demo-{uuid.uuid4()}"},
        )
        self._balance -= 12.5
        return f"{held['id']}: {settled['released_micro'] / 1_000_000:g} came back"

    def _balance_adds_up(self) -> str:
        found = self._available()
        if found != self._balance:
            raise StepError(f"{found:g} credits instead of {self._balance:g}")
        return f"{found:g} credits, as bought and spent"

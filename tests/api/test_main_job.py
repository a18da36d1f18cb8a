"""The main job over HTTP, on real parts: pay, receive credits, spend them, be told when they run out."""

from __future__ import annotations

import time
from typing import Any

from running_service import Running


def _until(value: Any, ask: Any, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while ask() != value:
        assert time.monotonic() < deadline, f"still {ask()} instead of {value}"
        time.sleep(0.05)


def test_a_payment_becomes_credits_that_an_app_spends(running: Running) -> None:
    session = running.sign_in()
    http = running.as_app()

    opened = http.post(
        "/api/stripe/create-checkout-session",
        json={
            "price_id": "price_1234567890",
            "success_url": "https://yourapp.com/payment/success",
            "cancel_url": "https://yourapp.com/payment/cancel",
            "mode": "payment",
        },
        headers={"Authorization": f"Bearer {session['session_token']}"},
    ).json()
    running.sandbox.control(f"checkout/sessions/{opened['session_id']}/pay", card="4242424242424242")
    _until(1_000_000_000, running.balance)
    consume = {
        "app_id": running.app_id,
        "session_token": session["session_token"],
        "credits": 5,
        "service": "autoprint",
    }
    spent = http.post("/api/cross-app/credits/consume", json=consume)
    short = http.post("/api/cross-app/credits/consume", json=consume | {"credits": 5000})

    assert spent.json()["new_balance"] == 995
    assert (short.status_code, short.json()["code"]) == (402, "insufficient_credits")
    assert running.balance() == 995_000_000

"""Buyers of the bank run: they open checkouts over HTTP and pay them in the sandbox, whose events come in any order.

A lost answer is asked for again under the same key, so one purchase has one session.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from faults.clients import CUT_OFF, Account
from faults.journal import Journal, Purchase

PRICES = ("pack_100", "pack_250")
GOOD_CARD = "4242424242424242"
DECLINED_CARD = "4000000000000002"


@dataclass(slots=True)
class Buyer:
    """One customer's browser, so to speak; ``stripe`` is a client of the sandbox."""

    number: int
    rng: random.Random
    http: httpx.AsyncClient
    stripe: httpx.AsyncClient
    journal: Journal
    accounts: list[Account]
    run_id: str
    _bought: int = 0

    async def run(self, over: Callable[[], bool]) -> None:
        """Buy one thing after another until it is over."""
        while not over():
            purchase = self.intend()
            await self.open(purchase, over)
            if purchase.session is not None:
                await self._pay(purchase)
                await self._repeat_events(purchase)
            await asyncio.sleep(0.3 * self.rng.random())

    def intend(self) -> Purchase:
        """Write a purchase down before anything is sent."""
        self._bought += 1
        account = self.rng.choice(self.accounts)
        purchase = Purchase(
            key=f"{self.run_id}-buyer{self.number}-{self._bought}",
            user_id=account.user_id,
            wallet_id=account.wallet_id,
            price=self.rng.choice(PRICES),
        )
        self.journal.purchases.append(purchase)
        return purchase

    async def open(self, purchase: Purchase, over: Callable[[], bool]) -> None:
        """Open the checkout, again and again under the same key until it is answered or over."""
        body = {
            "price": purchase.price,
            "user_id": purchase.user_id,
            "success_url": "http://localhost:3000/credits/success",
            "cancel_url": "http://localhost:3000/credits",
        }
        while not over():
            try:
                answer = await self.http.post(
                    "/v1/checkouts", json=body, headers={"Idempotency-Key": purchase.key}
                )
            except CUT_OFF:
                self.journal.counts["lost"] += 1
            else:
                if answer.status_code == 201:
                    opened = answer.json()
                    purchase.session = opened["stripe_session_id"]
                    purchase.checkout = opened["id"]
                    purchase.credits_micro = opened["credits_micro"]
                    return
                self.journal.counts["lost"] += 1
                if answer.status_code != 503:
                    self.journal.faults.append(f"checkout answered {answer.status_code}: {answer.text[:300]}")
                    return
            await asyncio.sleep(0.1 + 0.2 * self.rng.random())

    async def _pay(self, purchase: Purchase) -> None:
        roll = self.rng.random()
        if roll < 0.1:
            return  # the customer goes away
        if roll < 0.2:
            await self._steer(f"checkout/sessions/{purchase.session}/pay", card=DECLINED_CARD)
        elif roll < 0.7:
            await self._steer(f"checkout/sessions/{purchase.session}/pay", card=GOOD_CARD)
        else:
            await self._steer(f"checkout/sessions/{purchase.session}/pay", method="bank")
            await asyncio.sleep(0.2 * self.rng.random())
            outcome = "succeed" if self.rng.random() < 0.7 else "fail"
            await self._steer(f"checkout/sessions/{purchase.session}/settle", outcome=outcome)

    async def _repeat_events(self, purchase: Purchase) -> None:
        """Have Stripe deliver what happened several times more, at once and out of order."""
        page = await self.stripe.get("/v1/events", params={"limit": 30})
        found = [event["id"] for event in page.json()["data"] if _is_about(event, purchase.session)]
        self.rng.shuffle(found)
        for event in found[: self.rng.randint(0, 3)]:
            # The sandbox sends it whoever is there to take it; how many copies arrive is not ours to know.
            times = self.rng.randint(2, 5)
            answer = await self.stripe.post(f"/_sandbox/events/{event}/resend", json={"times": times})
            self.journal.counts["redeliveries"] += answer.status_code == 200

    async def _steer(self, path: str, **how: Any) -> None:
        answer = await self.stripe.post(f"/_sandbox/{path}", json=how)
        assert answer.status_code == 200, answer.text


def _is_about(event: dict[str, Any], session: str | None) -> bool:
    subject: dict[str, Any] = event["data"]["object"]
    return bool(subject["id"] == session or subject["object"] == "payment_intent")

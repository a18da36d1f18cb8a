"""What happens at Stripe while a run goes on: subscribers' months pass, and money goes back.

Everything random comes from the generator that is given. Nobody of these talks to the service but to begin a plan.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg
from faults.bank import Bank
from faults.clients import Account
from faults.journal import Journal
from faults.money import Order

PLAN = "plan_starter"
KINDS = ("refunds in part", "disputes", "refunds that failed", "refunds")
_MONTH = 31 * 24 * 3600
_PATIENCE_SECONDS = 60.0


@dataclass(slots=True)
class Subscriber:
    """A customer on a test clock of their own, who pays for a plan month after month."""

    account: Account
    rng: random.Random
    http: httpx.AsyncClient
    stripe: httpx.AsyncClient
    journal: Journal
    run_id: str
    crowded: Callable[[], bool]
    customer: str = ""
    order: Order = field(default=Order(0, 0))
    _clock: str = ""
    _now: int = 0

    async def subscribe(self, bank: Bank) -> None:
        """Open a checkout for the plan and pay it; nobody is killed yet."""
        self._now = int(time.time())
        self._clock = (await self._post("/v1/test_helpers/test_clocks", frozen_time=self._now))["id"]
        made = await self._post("/v1/customers", test_clock=self._clock, email="ada@example.com")
        self.customer = made["id"]
        with psycopg.connect(bank.database.superuser_url, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO tallybook.stripe_customers"
                " (user_id, intent_id, stripe_customer_id, created_at, updated_at)"
                " VALUES (%s, gen_random_uuid(), %s, now(), now())",
                [self.account.user_id, self.customer],
            )
        opened = await self.http.post(
            "/v1/checkouts",
            json={
                "price": PLAN,
                "mode": "subscription",
                "user_id": self.account.user_id,
                "success_url": "http://localhost:3000/credits/success",
                "cancel_url": "http://localhost:3000/credits",
            },
            headers={"Idempotency-Key": f"{self.run_id}-plan-{self.account.user_id}"},
        )
        assert opened.status_code == 201, opened.text
        self.order = Order(self.account.wallet_id, opened.json()["credits_micro"])
        session = opened.json()["stripe_session_id"]
        paid = await self.stripe.post(f"/_sandbox/checkout/sessions/{session}/pay", json={})
        assert paid.json()["outcome"] == "succeeded", paid.text

    async def run(self, over: Callable[[], bool]) -> None:
        """Let month after month pass, each with its renewal."""
        while not over():
            await _room(self.crowded, over)
            self._now += _MONTH
            await self._post(f"/v1/test_helpers/test_clocks/{self._clock}/advance", frozen_time=self._now)
            await self._arrived()
            self.journal.counts["renewals"] += 1
            await asyncio.sleep(1 + 2 * self.rng.random())

    async def _arrived(self) -> None:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                answer = await self.stripe.get(f"/v1/test_helpers/test_clocks/{self._clock}")
                if answer.json()["status"] == "ready":
                    return
                await asyncio.sleep(0.02)

    async def _post(self, path: str, **form: Any) -> dict[str, Any]:
        answer = await self.stripe.post(path, data=form)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@dataclass(slots=True)
class MoneyBack:
    """The merchant's dashboard and the customers' banks: payments are refunded and disputed, each once at most."""

    rng: random.Random
    stripe: httpx.AsyncClient
    journal: Journal
    crowded: Callable[[], bool]
    acts: int = 0
    _touched: set[str] = field(default_factory=set)

    async def run(self, over: Callable[[], bool]) -> None:
        """Give back or dispute one payment after another until it is over, each kind in turn at first."""
        while not over():
            if self.acts >= len(KINDS):
                await _room(self.crowded, over)
            page = (await self.stripe.get("/v1/charges", params={"limit": 20})).json()["data"]
            fresh = [one for one in page if one["status"] == "succeeded" and one["id"] not in self._touched]
            if fresh:
                charge = self.rng.choice(fresh)
                self._touched.add(charge["id"])
                kind = KINDS[self.acts] if self.acts < len(KINDS) else self.rng.choice(KINDS)
                await self._act(charge, kind)
                self.journal.counts[kind] += 1
                self.acts += 1
            await asyncio.sleep(0.8 * self.rng.random())

    async def _act(self, charge: dict[str, Any], kind: str) -> None:
        if kind == "disputes":
            made = await self._desk(f"charges/{charge['id']}/dispute")
            await asyncio.sleep(0.5 * self.rng.random())
            ending = self.rng.choice(("win", "lose", "open"))
            # Months pass meanwhile: a dispute that nobody answered may be lost by now, and then it stays so.
            if ending != "open":
                await self.stripe.post(f"/_sandbox/disputes/{made['id']}/{ending}", json={})
            return
        some = {"amount": charge["amount"] // 2} if kind == "refunds in part" else {}
        made = await self._desk(f"charges/{charge['id']}/refund", **some)
        if kind == "refunds that failed":
            await asyncio.sleep(0.5 * self.rng.random())
            await self._desk(f"refunds/{made['id']}/settle", outcome="fail")

    async def _desk(self, path: str, **how: Any) -> dict[str, Any]:
        answer = await self.stripe.post(f"/_sandbox/{path}", json=how)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


async def _room(crowded: Callable[[], bool], over: Callable[[], bool]) -> None:
    """Wait while more happened than a slow machine has settled: what is left must be worked off in the end."""
    while True:
        if over() or not await asyncio.to_thread(crowded):
            return
        await asyncio.sleep(0.2)

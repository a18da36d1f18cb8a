"""A customer with saved cards, and what a test of auto top-up does, in a line each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
from sandbox.process import KEY

from payments.desk import OPERATOR, Till, system_clock
from tallybook.domain.money import Credits, Money
from tallybook.domain.payments.payment_intents import PaymentIntentReport
from tallybook.domain.payments.top_ups import TopUpTerms
from tallybook.stripe.gateway import PINNED_API_VERSION, StripeGateway
from tallybook.usecases import wallets
from tallybook.usecases.cards import rules, saved_methods
from tallybook.worker.main import work_off
from tallybook.worker.topping_up import top_up_once


@dataclass(slots=True)
class Cardholder:
    """The till's customer, with cards."""

    till: Till

    async def save(self, card: str) -> str:
        """Save a test card in the setup form, make it the default; gives the payment method."""
        ctx, caller = self.till.ctx, self.till.caller
        setup = await saved_methods.open_setup(ctx, caller, user_id=None, key=f"save {card}")
        done = self.till.stripe_post(
            f"/v1/setup_intents/{setup.id}/confirm",
            payment_method=card,
            return_url="http://localhost:3000/billing",
        )
        if done["status"] == "requires_action":
            done = self.till.sandbox.control(f"setup_intents/{setup.id}/authenticate")
        method = str(done["payment_method"])
        await saved_methods.make_default(ctx, caller, method, user_id=None)
        return method

    async def rule(self, **changes: Any) -> None:
        """Keep 50 credits there: packs of 100 for $10, at most $100 a month."""
        given: dict[str, Any] = {
            "threshold": Credits.whole(50),
            "lookup_key": "pack_100",
            "quantity": 1,
            "credits": None,
            "monthly_cap": Money(10_000, "usd"),
            "enabled": True,
        }
        terms = TopUpTerms(**(given | changes))
        await rules.put(self.till.ctx, self.till.caller, terms, user_id=None)

    async def give(self, credits: int) -> None:
        """Add credits by hand."""
        amount = Credits.whole(credits)
        await wallets.grant(self.till.ctx, OPERATOR, credits=amount, user_id=self.till.user_id, key=None)

    async def spend(self, credits: int) -> None:
        """Spend credits."""
        await wallets.spend(self.till.ctx, self.till.caller, credits=Credits.whole(credits), key=None)

    async def round(self, *, later: timedelta = timedelta(0)) -> int:
        """One round of the worker, ``later`` than now; gives how many charges it worked on."""
        return await top_up_once(self.at(later).ctx)

    def at(self, later: timedelta) -> Till:
        """The till at a later time."""

        def clock() -> datetime:
            return system_clock() + later

        return self.till.but(clock=clock)

    def charges(self) -> list[dict[str, Any]]:
        """Every payment intent of the customer at Stripe, oldest first."""
        [[customer]] = self.till.ask(
            "SELECT stripe_customer_id FROM tallybook.stripe_customers WHERE user_id = %s", self.till.user_id
        )
        page = self.till.stripe_get("/v1/payment_intents", customer=customer, limit=100)["data"]
        return list(reversed(page))

    def top_ups(self) -> list[tuple[Any, ...]]:
        """Status, amount and failure of each top-up in our books, oldest first."""
        return self.till.ask(
            "SELECT status, amount_minor, failure_code FROM tallybook.payment_intents"
            " WHERE source = 'top_up' ORDER BY number"
        )

    def announced(self) -> list[str]:
        """What was announced, oldest first."""
        return [
            row[0]
            for row in self.till.ask(
                "SELECT kind FROM tallybook.announcements WHERE kind LIKE 'top_up.%%' ORDER BY announcement_id"
            )
        ]

    def stopped(self) -> str | None:
        """Why the rule charges nothing."""
        [[reason]] = self.till.ask("SELECT stopped FROM tallybook.top_up_rules")
        return None if reason is None else str(reason)

    async def hear(self) -> None:
        """Deliver everything that Stripe tells of the customer's payments, and have it worked off."""
        wanted = {one["id"] for one in self.charges()}
        page = self.till.stripe_get("/v1/events", limit=100)["data"]
        for event in reversed(page):
            if event["data"]["object"]["id"] in wanted:
                await self.till.deliver(event)
        await work_off(self.till.ctx)


@asynccontextmanager
async def losing(till: Till, path: str, *, times: int = 3) -> AsyncIterator[Till]:
    """The till on a line that loses the next answers to POSTs of a path, after Stripe gave them.

    Stripe's own client asks three times by itself, so three lost answers are an unknown outcome.
    """
    gateway = StripeGateway(KEY, api_base=till.sandbox.base_url, api_version=PINNED_API_VERSION)
    left = times

    async def lose(response: httpx.Response) -> None:
        nonlocal left
        if left and response.request.method == "POST" and response.request.url.path == path:
            left -= 1
            raise httpx.ReadError("the line was cut", request=response.request)

    gateway._http._client_async.event_hooks = {"request": [], "response": [lose]}
    try:
        yield till.but(stripe=gateway)
    finally:
        await gateway.close()


@asynccontextmanager
async def locked_out(till: Till, path: str) -> AsyncIterator[Till]:
    """The till with a key that Stripe does not take for POSTs of a path."""
    gateway = StripeGateway(KEY, api_base=till.sandbox.base_url, api_version=PINNED_API_VERSION)

    async def use_another_key(request: httpx.Request) -> None:
        if request.method == "POST" and request.url.path == path:
            request.headers["Authorization"] = "Bearer rk_live_of_another_account"

    gateway._http._client_async.event_hooks = {"request": [use_another_key], "response": []}
    try:
        yield till.but(stripe=gateway)
    finally:
        await gateway.close()


def reported(stripe_id: str, **changes: Any) -> PaymentIntentReport:
    """A payment intent that succeeded with $10, with changes."""
    given: dict[str, Any] = {
        "id": stripe_id,
        "status": "succeeded",
        "amount": 1000,
        "amount_received": 1000,
        "amount_refunded": 0,
        "charge_refunded": False,
        "currency": "usd",
        "customer_id": "cus_1",
        "payment_method_id": None,
        "failure_code": None,
        "livemode": False,
        "metadata": {},
        "client_secret": None,
        "redirect_url": None,
        "receipt_url": None,
    }
    return PaymentIntentReport(**(given | changes))

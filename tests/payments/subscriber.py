"""A subscriber at a till: subscribes, lets time pass on a test clock, and has Stripe's events worked off."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from payments.desk import CANCEL, SUCCESS, Till
from tallybook.domain.catalog.products import Product
from tallybook.domain.payments.checkouts import Opened
from tallybook.domain.payments.subscriptions import Subscription
from tallybook.usecases.subscriptions import opening, viewing
from tallybook.worker.main import work_off

GOOD_CARD = "4242424242424242"
PATIENCE_SECONDS = 120.0


@dataclass(slots=True)
class Subscriber:
    """What a test of subscriptions does, in a line each."""

    till: Till
    delivered: set[str] = field(default_factory=set)
    clock_id: str | None = None
    now: datetime | None = None

    async def open(self, reference: str = "plan_starter", **terms: Any) -> Opened:
        """Open a checkout for a plan."""
        order: dict[str, Any] = {
            "quantity": 1,
            "success_url": SUCCESS,
            "cancel_url": CANCEL,
            "user_id": None,
            "key": None,
        } | terms
        return await opening.open_checkout(self.till.ctx, self.till.caller, reference=reference, **order)

    async def begin(self, reference: str = "plan_starter", **terms: Any) -> opening.Begun:
        """Begin a subscription for a payment form."""
        order: dict[str, Any] = {
            "quantity": 1,
            "user_id": None,
            "payment_method_id": None,
            "key": None,
        } | terms
        return await opening.begin(self.till.ctx, self.till.caller, reference=reference, **order)

    async def subscribe(
        self, reference: str = "plan_starter", *, card: str = GOOD_CARD, **terms: Any
    ) -> Subscription:
        """Subscribe on the hosted page, pay, and have all events worked off."""
        opened = await self.open(reference, **terms)
        self.till.pay(opened.checkout, card=card)
        await self.hear()
        return await self.subscription()

    async def subscription(self) -> Subscription:
        """The newest subscription of the customer."""
        [first, *_] = await viewing.of_user(self.till.ctx, self.till.caller, None)
        return first

    @property
    def customer_id(self) -> str:
        """The customer's id at Stripe."""
        [[found]] = self.till.ask(
            "SELECT stripe_customer_id FROM tallybook.stripe_customers WHERE user_id = %s", self.till.user_id
        )
        return str(found)

    def events(self, *, again: bool = False) -> list[dict[str, Any]]:
        """The customer's events that were not delivered yet (or all), oldest first."""
        found: list[dict[str, Any]] = []
        after: dict[str, str] = {}
        while True:
            page = self.till.stripe_get("/v1/events", limit=100, **after)
            found += page["data"]
            if not page["has_more"]:
                break
            after = {"starting_after": page["data"][-1]["id"]}
        mine = [
            event
            for event in reversed(found)
            if event["data"]["object"].get("customer") == self.customer_id
            and (again or event["id"] not in self.delivered)
        ]
        self.delivered |= {event["id"] for event in mine}
        return mine

    async def hear(self, events: Iterable[dict[str, Any]] | None = None) -> None:
        """Deliver what happened (by default all that was not delivered yet), and have it worked off."""
        for event in self.events() if events is None else events:
            await self.till.deliver(event)
        await work_off(self.till.ctx)

    def outcomes(self, kind: str) -> list[str | None]:
        """The outcomes of the inbox's events of a type."""
        return [outcome for type_, _, outcome in self.till.inbox() if type_ == kind]

    def live_on_a_test_clock(self, start: datetime) -> None:
        """Make the customer at Stripe on a clock of their own, and let the service live by it."""
        stamp = int(start.timestamp())
        self.clock_id = self.till.stripe_post("/v1/test_helpers/test_clocks", frozen_time=stamp)["id"]
        made = self.till.stripe_post("/v1/customers", test_clock=self.clock_id, email="ada@example.com")
        self.till.ask(
            "INSERT INTO tallybook.stripe_customers (user_id, intent_id, stripe_customer_id, created_at, updated_at)"
            " VALUES (%s, gen_random_uuid(), %s, now(), now())",
            self.till.user_id,
            made["id"],
        )
        self.now = start
        self.till = self.till.but(clock=lambda: self.now)

    def advance(self, to: datetime) -> None:
        """Let the customer's time pass at Stripe, and then here."""
        path = f"/v1/test_helpers/test_clocks/{self.clock_id}"
        self.till.stripe_post(f"{path}/advance", frozen_time=int(to.timestamp()))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.till.stripe_get(path)["status"] != "ready":
            assert time.monotonic() < deadline, "the clock does not arrive"
            time.sleep(0.02)
        self.now = to

    def plan(self, lookup_key: str, **changes: Any) -> None:
        """Change a plan of the catalogue that the service reads."""
        catalog = self.till.ctx.catalog
        products: tuple[Product, ...] = tuple(
            replace(one, **changes) if one.lookup_key == lookup_key else one for one in catalog.products
        )
        self.till = self.till.but(catalog=replace(catalog, products=products))

    def invoices(self) -> list[tuple[Any, ...]]:
        """Reason, status, outcome and moved credits (whole ones) of each invoice, oldest first."""
        return self.till.ask(
            "SELECT billing_reason, status, outcome, (granted_micro - taken_back_micro) / 1000000"
            " FROM tallybook.subscription_invoices ORDER BY stripe_created, created_at"
        )


def utc(year: int, month: int, day: int) -> datetime:
    """Noon of a day."""
    return datetime(year, month, day, 12, tzinfo=UTC)

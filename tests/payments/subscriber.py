"""A subscriber at a till: subscribes, lets time pass on a test clock, and has Stripe's events worked off."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from payments.desk import CANCEL, OPERATOR, SUCCESS, Till, signed
from tallybook.domain.catalog.products import Catalog, Product
from tallybook.domain.payments.checkouts import Opened
from tallybook.domain.payments.subscriptions import Subscription
from tallybook.usecases import catalog, intake
from tallybook.usecases.subscriptions import beginning, changing, opening, plans, viewing
from tallybook.worker.main import work_off

GOOD_CARD = "4242424242424242"
FAILS_LATER = "pm_card_chargeCustomerFail"
START = datetime(2027, 1, 1, 12, tzinfo=UTC)
PATIENCE_SECONDS = 120.0


@dataclass(slots=True)
class Subscriber:
    """What a test of subscriptions does, in a line each."""

    till: Till
    delivered: set[str] = field(default_factory=set)
    clock_id: str | None = None
    now: datetime | None = None
    first: str = ""
    since: str = ""

    def __post_init__(self) -> None:
        """What happened before is none of this customer's business."""
        page = self.till.stripe_get("/v1/events", limit=1)["data"]
        self.first = self.since = page[0]["id"] if page else ""

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

    async def begin(self, reference: str = "plan_starter", **terms: Any) -> beginning.Begun:
        """Begin a subscription for a payment form."""
        order: dict[str, Any] = {
            "quantity": 1,
            "user_id": None,
            "payment_method_id": None,
            "key": None,
        } | terms
        return await beginning.begin(self.till.ctx, self.till.caller, reference=reference, **order)

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
        since = self.since if not again else self.first
        while True:
            page = self.till.stripe_get(
                "/v1/events", limit=100, **({"ending_before": since} if since else {})
            )
            # Whoever reads towards the newest gets the pages in that order, each with its newest first.
            found += reversed(page["data"])
            if not page["has_more"] or not page["data"]:
                break
            since = page["data"][0]["id"]
        self.since = found[-1]["id"] if found else self.since
        mine = [
            event
            for event in found
            if event["data"]["object"].get("customer") == self.customer_id
            and (again or event["id"] not in self.delivered)
        ]
        self.delivered |= {event["id"] for event in mine}
        return mine

    async def hear(self, events: Iterable[dict[str, Any]] | None = None) -> None:
        """Deliver what happened (by default all that was not delivered yet), and have it worked off."""
        for event in self.events() if events is None else events:
            raw = json.dumps(event).encode()
            # Signed by the time in which the customer lives.
            signature = signed(raw, at=self.now)
            await intake.receive(self.till.ctx, path="stripe", raw=raw, signature=signature)
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

    async def reference(self) -> str:
        """The newest subscription's id."""
        return f"sbs_{(await self.subscription()).subscription_id}"

    async def change(self, plan: str, **terms: Any) -> changing.Changed:
        """Change the plan of the newest subscription."""
        order: dict[str, Any] = {"quantity": None, "proration_date": None, "key": None} | terms
        return await plans.change(self.till.ctx, self.till.caller, await self.reference(), plan=plan, **order)

    async def preview(self, plan: str) -> plans.Preview:
        """What changing the plan would cost and bring now."""
        return await plans.preview(
            self.till.ctx, self.till.caller, await self.reference(), plan=plan, quantity=None
        )

    def pay_with(self, found: Subscription, method: str) -> None:
        """Put another payment method under a subscription."""
        path = f"/v1/payment_methods/{method}/attach"
        attached = self.till.stripe_post(path, customer=self.customer_id)["id"]
        self.till.stripe_post(
            f"/v1/subscriptions/{found.stripe_subscription_id}", default_payment_method=attached
        )

    def plan(self, lookup_key: str, **changes: Any) -> None:
        """Change a plan of the catalogue that the service reads."""
        sold = self.till.ctx.catalog
        products: tuple[Product, ...] = tuple(
            replace(one, **changes) if one.lookup_key == lookup_key else one for one in sold.products
        )
        self.till = self.till.but(catalog=replace(sold, products=products))

    async def sell(self, text: str) -> None:
        """Sell what a catalogue's text says beside the rest."""
        more = Catalog.parse(text).products
        both = Catalog((*self.till.ctx.catalog.products, *more))
        self.till = self.till.but(catalog=both)
        await catalog.push(self.till.ctx, OPERATOR, dry_run=False, progress=lambda _: None)

    def invoices(self) -> list[tuple[Any, ...]]:
        """Reason, status, outcome and moved credits (whole ones) of each invoice, oldest first."""
        return self.till.ask(
            "SELECT billing_reason, status, outcome, (granted_micro - taken_back_micro) / 1000000"
            " FROM tallybook.subscription_invoices ORDER BY stripe_created, created_at"
        )


def utc(year: int, month: int, day: int) -> datetime:
    """Noon of a day."""
    return datetime(year, month, day, 12, tzinfo=UTC)

"""Lists of what Stripe has, page by page, for whoever compares or imports: plain values, newest first."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import stripe

from tallybook.domain.money import Money
from tallybook.domain.payments.importing import ChargeReport, CustomerReport
from tallybook.domain.payments.invoices import InvoiceReport
from tallybook.domain.payments.money_back import Dispute, Refund
from tallybook.domain.payments.reconciling import BalanceEntry, IntentReport, Window
from tallybook.domain.payments.reports import ReceivedEvent, SessionReport
from tallybook.domain.payments.subscriptions import SubscriptionReport
from tallybook.stripe import billing_readings, readings
from tallybook.stripe.failures import patiently
from tallybook.stripe.gateway import StripeGateway
from tallybook.stripe.money_back import dispute_of, refund_of
from tallybook.stripe.readings import id_of, moment

PAGE = 100
TYPES_AT_ONCE = 20
"""As many types as Stripe takes at once: https://docs.stripe.com/api/events/list (types)."""


async def pages(
    what: str, call: Callable[[Any], Any], wanted: Mapping[str, Any] | None = None
) -> AsyncIterator[list[Any]]:
    """The pages of a list, newest first, as the SDK's objects."""
    asked: dict[str, Any] = {"limit": PAGE, **(wanted or {})}
    while True:
        page = await patiently(what, partial(call, asked))
        if page.data:
            yield list(page.data)
        if not page.has_more:
            return
        asked = asked | {"starting_after": page.data[-1].id}


async def events(
    gateway: StripeGateway, window: Window, types: Sequence[str]
) -> AsyncIterator[list[ReceivedEvent]]:
    """Events of these types; each as if it had been delivered, but signed by nobody."""
    for start in range(0, len(types), TYPES_AT_ONCE):
        wanted = created(window) | {"types": list(types[start : start + TYPES_AT_ONCE])}
        async for page in pages("events.list", gateway.v1.events.list_async, wanted):
            yield [_event(found) for found in page]


async def sessions(gateway: StripeGateway, wanted: Mapping[str, Any]) -> AsyncIterator[list[SessionReport]]:
    """Checkout sessions, each with its payment's latest charge."""
    asked = {**wanted, "expand": ["data.payment_intent.latest_charge"]}
    async for page in pages("checkout.sessions.list", gateway.v1.checkout.sessions.list_async, asked):
        yield [readings.session(found) for found in page]


async def invoices(gateway: StripeGateway, wanted: Mapping[str, Any]) -> AsyncIterator[list[InvoiceReport]]:
    """Invoices with all of their lines and with their payments."""
    asked = {**wanted, "expand": ["data.payments"]}
    async for page in pages("invoices.list", gateway.v1.invoices.list_async, asked):
        yield [await _invoice(gateway, found) for found in page]


async def subscriptions(
    gateway: StripeGateway, wanted: Mapping[str, Any]
) -> AsyncIterator[list[SubscriptionReport]]:
    """Subscriptions; without a ``status`` in ``wanted`` those that have not ended."""
    async for page in pages("subscriptions.list", gateway.v1.subscriptions.list_async, wanted):
        yield [billing_readings.subscription(found) for found in page]


async def intents(gateway: StripeGateway, window: Window) -> AsyncIterator[list[IntentReport]]:
    """Payment intents."""
    async for page in pages("payment_intents.list", gateway.v1.payment_intents.list_async, created(window)):
        yield [intent_of(found.to_dict()) for found in page]


async def intent(gateway: StripeGateway, payment_intent_id: str) -> IntentReport:
    """One payment intent as it is right now.

    Raises:
        StripeRefusedError: Stripe has none of that id.
    """
    retrieve = gateway.v1.payment_intents.retrieve_async
    found = await patiently("payment_intents.retrieve", lambda: retrieve(payment_intent_id))
    return intent_of(found.to_dict())


async def refunds(
    gateway: StripeGateway, wanted: Mapping[str, Any]
) -> AsyncIterator[list[tuple[str, Refund]]]:
    """Refunds, each with the payment intent that it gave back of; those without one are left out."""
    async for page in pages("refunds.list", gateway.v1.refunds.list_async, wanted):
        raw = [found.to_dict() for found in page]
        yield [(intent, refund_of(one)) for one in raw if (intent := id_of(one.get("payment_intent")))]


async def disputes(
    gateway: StripeGateway, wanted: Mapping[str, Any]
) -> AsyncIterator[list[tuple[str, Dispute]]]:
    """Disputes, each with the payment intent that it is about; those without one are left out."""
    async for page in pages("disputes.list", gateway.v1.disputes.list_async, wanted):
        raw = [found.to_dict() for found in page]
        yield [(intent, dispute_of(one)) for one in raw if (intent := id_of(one.get("payment_intent")))]


async def balance(gateway: StripeGateway, window: Window) -> AsyncIterator[list[BalanceEntry]]:
    """The account's balance: what customers paid and what went back to them; fees and payouts are left out."""
    asked = created(window) | {"expand": ["data.source"]}
    async for page in pages("balance_transactions.list", gateway.v1.balance_transactions.list_async, asked):
        entries = [_entry(found.to_dict()) for found in page]
        yield [entry for entry in entries if entry is not None]


async def customers(gateway: StripeGateway, after: str | None = None) -> AsyncIterator[list[CustomerReport]]:
    """Customers, from the one after which another page ended."""
    wanted = {} if after is None else {"starting_after": after}
    async for page in pages("customers.list", gateway.v1.customers.list_async, wanted):
        yield [_customer(found.to_dict()) for found in page]


async def charges(gateway: StripeGateway, customer_id: str) -> AsyncIterator[list[ChargeReport]]:
    """What a customer was charged; charges that failed are left out."""
    async for page in pages("charges.list", gateway.v1.charges.list_async, {"customer": customer_id}):
        raw = [found.to_dict() for found in page]
        yield [_charge(one) for one in raw if one["paid"] and one["status"] == "succeeded"]


async def session_lines(gateway: StripeGateway, session_id: str) -> list[tuple[str, int]]:
    """What a checkout session sold: Stripe prices and how many of each."""
    service = gateway.v1.checkout.sessions.line_items
    found: list[tuple[str, int]] = []
    async for page in pages("line_items.list", partial(service.list_async, session_id)):
        for raw in (one.to_dict() for one in page):
            price = id_of(raw.get("price"))
            found += [] if price is None else [(price, raw.get("quantity") or 1)]
    return found


def created(window: Window) -> dict[str, Any]:
    """The parameter that asks for what was made in a time."""
    since, until = int(window.since.timestamp()), int(window.until.timestamp())
    return {"created": {"gte": since, "lt": until}}


def intent_of(raw: Mapping[str, Any]) -> IntentReport:
    """A payment intent."""
    return IntentReport(
        id=raw["id"],
        status=raw["status"],
        received=Money(raw.get("amount_received") or 0, raw["currency"]),
        customer_id=id_of(raw.get("customer")),
        deployment=(raw.get("metadata") or {}).get("deployment"),
    )


async def _invoice(gateway: StripeGateway, found: stripe.Invoice) -> InvoiceReport:
    if found.lines.has_more:
        whole = await gateway.invoice(str(found.id))
        assert whole is not None, found.id
        return whole
    return billing_readings.invoice(found, found.lines.data)


def _customer(raw: Mapping[str, Any]) -> CustomerReport:
    return CustomerReport(
        id=raw["id"],
        email=raw.get("email"),
        metadata=dict(raw.get("metadata") or {}),
        livemode=raw["livemode"],
        created=moment(raw["created"]),
    )


def _charge(raw: Mapping[str, Any]) -> ChargeReport:
    return ChargeReport(
        id=raw["id"],
        payment_intent_id=id_of(raw.get("payment_intent")),
        money=Money(raw["amount"], raw["currency"]),
        description=raw.get("description"),
        gone_back=bool(raw.get("amount_refunded") or raw.get("disputed")),
        receipt_url=raw.get("receipt_url"),
        created=moment(raw["created"]),
    )


def _event(found: stripe.Event) -> ReceivedEvent:
    raw: dict[str, Any] = found.to_dict()
    subject = raw["data"]["object"]
    return ReceivedEvent(
        event_id=raw["id"],
        type=raw["type"],
        api_version=raw.get("api_version"),
        livemode=raw["livemode"],
        account_id=raw.get("account"),
        object_id=subject.get("id"),
        customer_id=id_of(subject.get("customer")),
        created=moment(raw["created"]),
        raw=json.dumps(raw, default=str).encode(),
        signed_by=(),
    )


def _entry(raw: Mapping[str, Any]) -> BalanceEntry | None:
    source = raw.get("source")
    if not isinstance(source, Mapping) or source.get("object") not in ("charge", "refund", "dispute"):
        return None
    # The balance is in the account's own currency; what the customer paid is at the source.
    sign = 1 if raw["amount"] >= 0 else -1
    return BalanceEntry(
        id=raw["id"],
        payment_intent_id=id_of(source.get("payment_intent")),
        money=Money(sign * source["amount"], source["currency"]),
        returned=source["object"] != "charge" or sign < 0,
        created=moment(raw["created"]),
    )

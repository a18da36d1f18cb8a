"""The calls about subscriptions and their invoices: a part of the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal

import stripe
from stripe.params import (
    CustomerUpdateParams,
    CustomerUpdateParamsAddress,
    InvoiceCreatePreviewParams,
    InvoiceLineItemListParams,
    SubscriptionCreateParams,
    SubscriptionUpdateParams,
)

from tallybook.domain.errors import StripeRefusedError
from tallybook.domain.payments.addresses import Address
from tallybook.domain.payments.invoices import InvoiceReport
from tallybook.domain.payments.subscriptions import SubscriptionReport
from tallybook.stripe import billing_readings
from tallybook.stripe.failures import patiently
from tallybook.stripe.orders import Sales

_NOT_FOUND = 404
_LINES_AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionOrder:
    """What a subscription is made of; the same order with the same key gives the same one."""

    customer_id: str
    price_id: str
    quantity: int
    trial_days: int | None
    payment_method_id: str | None
    metadata: Mapping[str, str]
    promotion_code_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemChange:
    """The one item of a subscription as it is to be; ``invoices`` says whether the difference is charged at once."""

    subscription_id: str
    item_id: str
    price_id: str
    quantity: int
    invoices: bool
    proration_date: int | None = None


class BillingCalls:
    """Subscriptions and invoices, seen from here."""

    _client: stripe.StripeClient
    _sales: Sales

    async def subscription(self, subscription_id: str) -> SubscriptionReport | None:
        """A subscription as it is right now, also one that has ended; None if Stripe has none of that id."""
        try:
            found = await patiently(
                "subscriptions.retrieve",
                lambda: self._client.v1.subscriptions.retrieve_async(
                    subscription_id, {"expand": ["schedule"]}
                ),
            )
        except StripeRefusedError as refusal:
            if refusal.facts.get("stripe_status") == _NOT_FOUND:
                return None
            raise
        return billing_readings.subscription(found)

    async def create_subscription(
        self, order: SubscriptionOrder, *, idempotency_key: str
    ) -> SubscriptionReport:
        """A subscription that waits for its first payment, or for the card of its trial."""
        wanted: SubscriptionCreateParams = {
            "customer": order.customer_id,
            "items": [{"price": order.price_id, "quantity": order.quantity}],
            "payment_behavior": "default_incomplete",
            "payment_settings": {"save_default_payment_method": "on_subscription"},
            "metadata": dict(order.metadata),
        }
        if order.trial_days is not None:
            wanted["trial_period_days"] = order.trial_days
            wanted["trial_settings"] = {"end_behavior": {"missing_payment_method": "pause"}}
        if order.payment_method_id is not None:
            wanted["default_payment_method"] = order.payment_method_id
        if order.promotion_code_id is not None:
            wanted["discounts"] = [{"promotion_code": order.promotion_code_id}]
        if self._sales.automatic_tax:
            wanted["automatic_tax"] = {"enabled": True}
        made = await patiently(
            "subscriptions.create",
            lambda: self._client.v1.subscriptions.create_async(wanted, {"idempotency_key": idempotency_key}),
        )
        return billing_readings.subscription(made)

    async def locate_customer(self, customer_id: str, address: Address) -> None:
        """Tell where a customer lives; refused if no rate of tax can be found there. Repeated, it changes nothing."""
        where: CustomerUpdateParamsAddress = {"country": address.country}
        for name in ("postal_code", "state", "city", "line1"):
            if (value := getattr(address, name)) is not None:
                where[name] = value
        wanted: CustomerUpdateParams = {"address": where}
        if self._sales.automatic_tax:
            wanted["tax"] = {"validate_location": "immediately"}
        await patiently(
            "customers.update", lambda: self._client.v1.customers.update_async(customer_id, wanted)
        )

    async def attach_payment_method(
        self, payment_method_id: str, customer_id: str, *, idempotency_key: str
    ) -> None:
        """Keep a payment method for a customer; one that is kept already stays as it is."""
        await patiently(
            "payment_methods.attach",
            lambda: self._client.v1.payment_methods.attach_async(
                payment_method_id, {"customer": customer_id}, {"idempotency_key": idempotency_key}
            ),
        )

    async def client_secret(self, subscription_id: str) -> str | None:
        """What a payment form needs for a subscription's first payment; None when nothing is to be paid."""
        found = await patiently(
            "subscriptions.retrieve",
            lambda: self._client.v1.subscriptions.retrieve_async(
                subscription_id, {"expand": ["latest_invoice.confirmation_secret", "pending_setup_intent"]}
            ),
        )
        return billing_readings.client_secret(found)

    async def change_item(self, change: ItemChange, *, idempotency_key: str) -> None:
        """Put another price in a subscription; a declined payment leaves it as it was."""
        wanted: SubscriptionUpdateParams = {
            "items": [{"id": change.item_id, "price": change.price_id, "quantity": change.quantity}],
            "proration_behavior": "always_invoice" if change.invoices else "none",
        }
        if change.invoices:
            wanted["payment_behavior"] = "error_if_incomplete"
            if change.proration_date is not None:
                wanted["proration_date"] = change.proration_date
        await self._update(change.subscription_id, wanted, idempotency_key)

    async def cancel_at_period_end(self, subscription_id: str, *, wanted: bool, idempotency_key: str) -> None:
        """Let a subscription end with its period, or take that back."""
        await self._update(subscription_id, {"cancel_at_period_end": wanted}, idempotency_key)

    async def pause(self, subscription_id: str, *, resumes_at: datetime | None, idempotency_key: str) -> None:
        """Void what would be billed from now on, until it is resumed."""
        pausing: dict[str, object] = {"behavior": "void"}
        if resumes_at is not None:
            pausing["resumes_at"] = int(resumes_at.timestamp())
        await self._update(subscription_id, {"pause_collection": pausing}, idempotency_key)  # type: ignore[typeddict-item]

    async def unpause(self, subscription_id: str, *, idempotency_key: str) -> None:
        """Bill again from the next period on."""
        await self._update(subscription_id, {"pause_collection": ""}, idempotency_key)

    async def resume(self, subscription_id: str, *, idempotency_key: str) -> None:
        """Take a subscription up that paused at the end of its trial: a period begins now and is billed."""
        await patiently(
            "subscriptions.resume",
            lambda: self._client.v1.subscriptions.resume_async(
                subscription_id, None, {"idempotency_key": idempotency_key}
            ),
        )

    async def cancel(self, subscription_id: str) -> None:
        """End a subscription at once, with nothing billed or given back; done already is done."""
        try:
            await patiently(
                "subscriptions.cancel", lambda: self._client.v1.subscriptions.cancel_async(subscription_id)
            )
        except StripeRefusedError as refusal:
            if refusal.facts.get("stripe_status") != _NOT_FOUND:
                raise

    async def invoice(self, invoice_id: str) -> InvoiceReport | None:
        """An invoice as it is right now with every line and its payments; None if Stripe has none of that id."""
        try:
            found = await patiently(
                "invoices.retrieve",
                lambda: self._client.v1.invoices.retrieve_async(invoice_id, {"expand": ["payments"]}),
            )
        except StripeRefusedError as refusal:
            if refusal.facts.get("stripe_status") == _NOT_FOUND:
                return None
            raise
        lines = list(found.lines.data)
        more = found.lines.has_more
        while more:
            after: InvoiceLineItemListParams = {"limit": _LINES_AT_ONCE, "starting_after": lines[-1].id}
            page = await patiently(
                "invoices.lines.list",
                partial(self._client.v1.invoices.line_items.list_async, invoice_id, after),
            )
            lines += page.data
            more = page.has_more
        return billing_readings.invoice(found, lines)

    async def void_invoice(self, invoice_id: str, *, idempotency_key: str) -> None:
        """Void an open invoice, so that nobody can pay it any more; refused for one that is paid."""
        await patiently(
            "invoices.void",
            lambda: self._client.v1.invoices.void_invoice_async(
                invoice_id, None, {"idempotency_key": idempotency_key}
            ),
        )

    async def preview_change(self, change: ItemChange) -> InvoiceReport:
        """The invoice that a change would make; nothing happens."""
        behaviour: Literal["always_invoice", "none"] = "always_invoice" if change.invoices else "none"
        wanted: InvoiceCreatePreviewParams = {
            "subscription": change.subscription_id,
            "subscription_details": {
                "items": [{"id": change.item_id, "price": change.price_id, "quantity": change.quantity}],
                "proration_behavior": behaviour,
            },
        }
        if change.proration_date is not None:
            wanted["subscription_details"]["proration_date"] = change.proration_date
        found = await patiently(
            "invoices.create_preview", lambda: self._client.v1.invoices.create_preview_async(wanted)
        )
        return billing_readings.invoice(found, found.lines.data)

    async def expire_session(self, session_id: str, *, idempotency_key: str) -> None:
        """Close an open checkout session, so that nobody can pay it any more; refused for one that is complete."""
        await patiently(
            "checkout.sessions.expire",
            lambda: self._client.v1.checkout.sessions.expire_async(
                session_id, None, {"idempotency_key": idempotency_key}
            ),
        )

    async def _update(
        self, subscription_id: str, wanted: SubscriptionUpdateParams, idempotency_key: str
    ) -> None:
        await patiently(
            "subscriptions.update",
            lambda: self._client.v1.subscriptions.update_async(
                subscription_id, wanted, {"idempotency_key": idempotency_key}
            ),
        )

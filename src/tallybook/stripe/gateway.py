"""Every call that Tallybook makes to Stripe, at one pinned version; answers come back as plain values.

Each write takes an idempotency key from the caller, who wrote its intent down first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import stripe
from stripe import V1Services
from stripe.params.checkout import SessionCreateParams

from tallybook.domain.errors import StripeNotConfiguredError, StripeRefusedError
from tallybook.domain.payments.reports import AccountReport, SessionReport
from tallybook.stripe import readings
from tallybook.stripe.billing import BillingCalls
from tallybook.stripe.catalog import CatalogCalls
from tallybook.stripe.failures import patiently
from tallybook.stripe.orders import Sales, SessionOrder

PINNED_API_VERSION = "2026-10-28.endive"
"""What the pinned SDK speaks; an upgrade of the package must change it knowingly."""

_TIMEOUT_SECONDS = 20
_NETWORK_RETRIES = 2
_NOT_FOUND = 404


class _Http(stripe.HTTPXClient):
    """The SDK's own client hands form text to httpx as ``data``, which httpx deprecates for text."""

    def _get_request_args_kwargs(
        self, method: str, url: str, headers: Mapping[str, str], post_data: str | bytes | None
    ) -> tuple[tuple[str, str], dict[str, Any]]:
        args, options = super()._get_request_args_kwargs(method, url, headers, post_data)
        options.pop("data", None)
        return args, {**options, "content": post_data or None}


class StripeGateway(BillingCalls, CatalogCalls):
    """Stripe, seen from here. Safe to share between tasks; ``close`` it at the end."""

    def __init__(
        self,
        secret_key: str,
        *,
        api_base: str = "https://api.stripe.com",
        api_version: str,
        sales: Sales | None = None,
    ) -> None:
        """Speak ``api_version`` to ``api_base`` with this secret key; nothing is sent yet."""
        assert stripe.api_version == PINNED_API_VERSION, (stripe.api_version, PINNED_API_VERSION)
        self.api_base = api_base
        self.api_version = api_version
        self._sales = sales or Sales()
        self._account: AccountReport | None = None
        self._http = _Http(timeout=_TIMEOUT_SECONDS)
        self._client = stripe.StripeClient(
            secret_key,
            stripe_version=api_version,
            base_addresses={"api": api_base},
            max_network_retries=_NETWORK_RETRIES,
            http_client=self._http,
        )

    @property
    def sales(self) -> Sales:
        """How we sell: whether codes are taken, and tax reckoned."""
        return self._sales

    @property
    def v1(self) -> V1Services:
        """Stripe's own services, for the other modules of this folder."""
        return self._client.v1

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.close_async()  # type: ignore[no-untyped-call]

    async def account(self) -> AccountReport:
        """Whose account the key belongs to; asked once, since a key never changes hands."""
        if self._account is None:
            found = await patiently("account.retrieve", self._client.v1.accounts.retrieve_current_async)
            self._account = AccountReport(account_id=found.id)
        return self._account

    async def create_customer(self, *, email: str, metadata: Mapping[str, str], idempotency_key: str) -> str:
        """A new customer; gives the id."""
        made = await patiently(
            "customers.create",
            lambda: self._client.v1.customers.create_async(
                {"email": email, "metadata": dict(metadata)}, {"idempotency_key": idempotency_key}
            ),
        )
        return made.id

    async def customer_is_gone(self, customer_id: str) -> bool:
        """Whether a customer was deleted, which Stripe never undoes, or was never there."""
        try:
            found = await patiently(
                "customers.retrieve", lambda: self._client.v1.customers.retrieve_async(customer_id)
            )
        except StripeRefusedError as refusal:
            if refusal.facts.get("stripe_status") == _NOT_FOUND:
                return True
            raise
        return readings.is_deleted(found)

    async def open_session(self, order: SessionOrder, *, idempotency_key: str) -> SessionReport:
        """A hosted Checkout Session; in payment mode with an invoice made for the receipt."""
        metadata = dict(order.metadata)
        wanted: SessionCreateParams = {
            "mode": "subscription" if order.subscribes else "payment",
            "customer": order.customer_id,
            "client_reference_id": order.reference,
            "line_items": [order.line],
            "success_url": order.success_url,
            "cancel_url": order.cancel_url,
            "metadata": metadata,
        }
        # Metadata is not inherited, so the payment intent or the subscription gets its own copy.
        if order.subscribes:
            wanted["subscription_data"] = {"metadata": {**metadata, **order.subscription_metadata}}
            if order.trial_days is not None:
                wanted["subscription_data"]["trial_period_days"] = order.trial_days
        else:
            wanted["invoice_creation"] = {"enabled": True, "invoice_data": {"metadata": metadata}}
            wanted["payment_intent_data"] = {"metadata": metadata}
        if self._sales.promotion_codes:
            wanted["allow_promotion_codes"] = True
        if self._sales.automatic_tax:
            # Where tax is due follows from the address that the customer gives on Stripe's page.
            wanted["automatic_tax"] = {"enabled": True}
            wanted["customer_update"] = {"address": "auto"}
        made = await patiently(
            "checkout.sessions.create",
            lambda: self._client.v1.checkout.sessions.create_async(
                wanted, {"idempotency_key": idempotency_key}
            ),
        )
        return readings.session(made)

    async def session(self, session_id: str) -> SessionReport | None:
        """A session as it is right now, with its payment's latest charge; None if Stripe has none of that id."""
        try:
            found = await patiently(
                "checkout.sessions.retrieve",
                lambda: self._client.v1.checkout.sessions.retrieve_async(
                    session_id, {"expand": ["payment_intent.latest_charge"]}
                ),
            )
        except StripeRefusedError as refusal:
            if refusal.facts.get("stripe_status") == _NOT_FOUND:
                return None
            raise
        return readings.session(found)

    async def session_id_of_payment(self, payment_intent_id: str) -> str | None:
        """The session that started a payment intent; None if no session did."""
        page = await patiently(
            "checkout.sessions.list",
            lambda: self._client.v1.checkout.sessions.list_async(
                {"payment_intent": payment_intent_id, "limit": 1}
            ),
        )
        return page.data[0].id if page.data else None


def configured(gateway: StripeGateway | None) -> StripeGateway:
    """The gateway, if the installation has a Stripe key.

    Raises:
        StripeNotConfiguredError: it has none.
    """
    if gateway is None:
        raise StripeNotConfiguredError
    return gateway

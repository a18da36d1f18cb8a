"""The calls about cards: payment intents that we start, setup intents, saved methods, and the customer portal.

Each write takes an idempotency key from the caller, who wrote its intent down first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from stripe.params import PaymentIntentCreateParams, SetupIntentCreateParams

from tallybook.domain.errors import StripeRefusedError
from tallybook.domain.money import Money
from tallybook.domain.payments.payment_intents import PaymentIntentReport
from tallybook.domain.payments.saved_methods import Purse, SetupReport
from tallybook.stripe import card_readings
from tallybook.stripe.failures import patiently
from tallybook.stripe.gateway import StripeGateway
from tallybook.stripe.listings import pages
from tallybook.stripe.readings import is_deleted

INTENT_METADATA = "tallybook_payment_intent"
"""Where a payment intent of ours names the row that it was written down as."""

_NOT_FOUND = 404
_PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentOrder:
    """What a payment intent is made of; the same order with the same key gives the same one.

    With ``method_id`` that saved method is charged at once, while the customer is away; ``return_url`` is where they
    come back to from their bank.
    """

    customer_id: str
    price: Money
    description: str
    metadata: Mapping[str, str]
    saves_method: bool = False
    method_id: str | None = None
    return_url: str | None = None


async def start(gateway: StripeGateway, order: IntentOrder, *, idempotency_key: str) -> PaymentIntentReport:
    """A payment intent; charged at once if the order names a method.

    Raises:
        StripeRefusedError: a decline too; ``stripe_payment_intent`` in its facts names what was declined.
    """
    wanted: PaymentIntentCreateParams = {
        "amount": order.price.minor,
        "currency": order.price.currency,
        "customer": order.customer_id,
        "description": order.description,
        "metadata": dict(order.metadata),
        "automatic_payment_methods": {"enabled": True},
    }
    if order.saves_method:
        wanted["setup_future_usage"] = "off_session"
    if order.method_id is not None:
        assert order.return_url is not None
        wanted["payment_method"] = order.method_id
        wanted["confirm"] = True
        wanted["off_session"] = True
        wanted["return_url"] = order.return_url
    made = await patiently(
        "payment_intents.create",
        lambda: gateway.v1.payment_intents.create_async(wanted, {"idempotency_key": idempotency_key}),
    )
    return card_readings.payment_intent(made)


async def payment_intent(gateway: StripeGateway, stripe_id: str) -> PaymentIntentReport | None:
    """A payment intent as it is right now, with its latest charge; None if Stripe has none of that id."""
    try:
        found = await patiently(
            "payment_intents.retrieve",
            lambda: gateway.v1.payment_intents.retrieve_async(stripe_id, {"expand": ["latest_charge"]}),
        )
    except StripeRefusedError as refusal:
        if refusal.facts.get("stripe_status") == _NOT_FOUND:
            return None
        raise
    return card_readings.payment_intent(found)


async def find_started(
    gateway: StripeGateway, *, customer_id: str, intent: str, since: datetime
) -> PaymentIntentReport | None:
    """The payment intent that became of a row, if any did: asked when no answer ever came, or a key is too old."""
    wanted = {"customer": customer_id, "created": {"gte": int(since.timestamp())}}
    async for page in pages("payment_intents.list", gateway.v1.payment_intents.list_async, wanted):
        for one in page:
            report = card_readings.payment_intent(one)
            if report.metadata.get(INTENT_METADATA) == intent:
                return report
    return None


async def confirm(
    gateway: StripeGateway, stripe_id: str, *, method_id: str, return_url: str, idempotency_key: str
) -> PaymentIntentReport:
    """Charge a payment intent while its customer is there; their bank may want to see them."""
    done = await patiently(
        "payment_intents.confirm",
        lambda: gateway.v1.payment_intents.confirm_async(
            stripe_id,
            {"payment_method": method_id, "return_url": return_url},
            {"idempotency_key": idempotency_key},
        ),
    )
    return card_readings.payment_intent(done)


async def cancel(gateway: StripeGateway, stripe_id: str) -> None:
    """Make sure that no money comes of a payment intent any more; one that has ended stays as it is."""
    try:
        await patiently(
            "payment_intents.cancel",
            lambda: gateway.v1.payment_intents.cancel_async(stripe_id, {"cancellation_reason": "abandoned"}),
        )
    except StripeRefusedError as refusal:
        if refusal.facts.get("stripe_code") != "payment_intent_unexpected_state":
            raise


async def start_setup(
    gateway: StripeGateway, *, customer_id: str, metadata: Mapping[str, str], idempotency_key: str
) -> SetupReport:
    """A setup intent: a form in which the customer saves a card for later charges."""
    wanted: SetupIntentCreateParams = {
        "customer": customer_id,
        "usage": "off_session",
        "automatic_payment_methods": {"enabled": True},
        "metadata": dict(metadata),
    }
    made = await patiently(
        "setup_intents.create",
        lambda: gateway.v1.setup_intents.create_async(wanted, {"idempotency_key": idempotency_key}),
    )
    return card_readings.setup_intent(made)


async def setup(gateway: StripeGateway, setup_id: str) -> SetupReport:
    """A setup intent as it is right now."""
    found = await patiently(
        "setup_intents.retrieve", lambda: gateway.v1.setup_intents.retrieve_async(setup_id)
    )
    return card_readings.setup_intent(found)


async def purse(gateway: StripeGateway, customer_id: str) -> Purse | None:
    """What a customer can be charged with right now, and which of it first; None if the customer is gone."""
    try:
        found = await patiently(
            "customers.retrieve", lambda: gateway.v1.customers.retrieve_async(customer_id)
        )
    except StripeRefusedError as refusal:
        if refusal.facts.get("stripe_status") == _NOT_FOUND:
            return None
        raise
    if is_deleted(found):
        return None
    page = await patiently(
        "payment_methods.list",
        lambda: gateway.v1.customers.payment_methods.list_async(customer_id, {"limit": _PAGE}),
    )
    return card_readings.purse(found, page.data)


async def customer_of_method(gateway: StripeGateway, method_id: str) -> str | None:
    """Whose payment method it is right now; None if it is nobody's."""
    try:
        found = await patiently(
            "payment_methods.retrieve", lambda: gateway.v1.payment_methods.retrieve_async(method_id)
        )
    except StripeRefusedError as refusal:
        if refusal.facts.get("stripe_status") == _NOT_FOUND:
            return None
        raise
    return card_readings.customer_of(found)


async def make_default(gateway: StripeGateway, customer_id: str, method_id: str) -> None:
    """Charge this method first from now on."""
    await patiently(
        "customers.update",
        lambda: gateway.v1.customers.update_async(
            customer_id, {"invoice_settings": {"default_payment_method": method_id}}
        ),
    )


async def detach(gateway: StripeGateway, method_id: str) -> None:
    """Let go of a saved method; it can never be charged again."""
    await patiently("payment_methods.detach", lambda: gateway.v1.payment_methods.detach_async(method_id))


async def portal_url(gateway: StripeGateway, customer_id: str, *, return_url: str) -> str:
    """A link into Stripe's customer portal, good for a short time."""
    made = await patiently(
        "billing_portal.sessions.create",
        lambda: gateway.v1.billing_portal.sessions.create_async(
            {"customer": customer_id, "return_url": return_url}
        ),
    )
    return made.url

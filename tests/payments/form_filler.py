"""A customer at the payment form, and catalogues with rates and several currencies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sandbox.process import KEY

from payments.desk import Till
from tallybook.domain.catalog.products import Catalog
from tallybook.stripe.gateway import PINNED_API_VERSION, StripeGateway
from tallybook.stripe.orders import Sales
from tallybook.usecases.cards import forms
from tallybook.worker.main import work_off

RATES = """
[rates.usd]
credits = 100
amount_minor = 1000

[rates.jpy]
credits = 3
amount_minor = 1000

[rates.kwd]
credits = 100
amount_minor = 3000
"""
PACK = """
[[packs]]
lookup_key = "pack_100"
name = "100 Credits"
description = "100 credits, paid once"
credits = 100
amount_minor = 1000
prices = { jpy = 1500, kwd = 3070 }
"""


async def open_form(till: Till, **wish: Any) -> forms.Form:
    """Open the form, by default for one pack of 100."""
    key = wish.pop("key", None)
    given: dict[str, Any] = {
        "reference": "pack_100",
        "quantity": 1,
        "amount_minor": None,
        "currency": None,
        "saves_method": False,
    }
    return await forms.open_form(till.ctx, till.caller, forms.Wish(**(given | wish)), user_id=None, key=key)


def pay(till: Till, form: forms.Form, card: str = "pm_card_visa") -> dict[str, Any]:
    """Pay as the form's script does."""
    answer: dict[str, Any] = till.stripe_post(
        f"/v1/payment_intents/{form.intent.stripe_id}/confirm",
        payment_method=card,
        return_url="http://localhost:3000/billing",
    )
    return answer


async def hear(till: Till, stripe_id: str | None) -> None:
    """Deliver everything that Stripe tells about a payment intent, and have it worked off."""
    for event in reversed(till.stripe_get("/v1/events", limit=100)["data"]):
        if event["data"]["object"]["id"] == stripe_id:
            await till.deliver(event)
    await work_off(till.ctx)


def selling(till: Till, text: str) -> Till:
    """The till with another catalogue, whose products have the prices that were pushed."""
    return till.but(catalog=Catalog.parse(text))


@asynccontextmanager
async def selling_with(till: Till, **how: bool) -> AsyncIterator[Till]:
    """The till of an installation with these settings."""
    sales = Sales(**how)
    gateway = StripeGateway(KEY, api_base=till.sandbox.base_url, api_version=PINNED_API_VERSION, sales=sales)
    try:
        yield till.but(stripe=gateway)
    finally:
        await gateway.close()

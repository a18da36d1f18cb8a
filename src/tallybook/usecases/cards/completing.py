"""3-D Secure of a top-up: the bank wants to see the customer, so the charge is handed to them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from tallybook.domain.errors import StripeRefusedError
from tallybook.domain.identity.callers import Caller
from tallybook.domain.payments.payment_intents import IntentStatus, PaymentIntent
from tallybook.stripe import cards
from tallybook.stripe.gateway import configured
from tallybook.usecases import buying
from tallybook.usecases.cards import forms, settling
from tallybook.usecases.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A top-up, and where to send the customer if their bank still wants to see them."""

    intent: PaymentIntent
    redirect_url: str | None


async def complete(
    ctx: Context, caller: Caller, number: int, *, return_url: str | None, key: str
) -> Completed:
    """Charge a top-up that waits for its customer, who is here now; another one is only looked at.

    Raises:
        PaymentIntentNotFoundError: there is none, or it is another user's.
        PermissionDeniedError: through an app: a saved card is the user's own.
        UrlNotAllowedError: customers may not be sent there.
    """
    found = await forms.own(ctx, caller, number)
    caller.cardholder(found.user_id)
    if found.stripe_id is None or found.stripe_payment_method_id is None:
        return Completed(intent=found, redirect_url=None)
    if return_url is not None:
        await buying.check_urls(ctx, return_url)
    back = return_url or settling.complete_url(ctx.shop.public_url, found)
    found, redirect = await _settled(ctx, found.stripe_id)
    if found.status is not IntentStatus.NEEDS_ACTION or redirect is not None:
        return Completed(intent=found, redirect_url=redirect)
    assert found.stripe_id is not None
    assert found.stripe_payment_method_id is not None
    try:
        await cards.confirm(
            configured(ctx.stripe),
            found.stripe_id,
            method_id=found.stripe_payment_method_id,
            return_url=back,
            idempotency_key=f"complete:{found.intent_id}:{hashlib.sha256(key.encode()).hexdigest()}",
        )
    except StripeRefusedError as refusal:
        if "stripe_payment_intent" not in refusal.facts:
            raise
    found, redirect = await _settled(ctx, found.stripe_id)
    return Completed(intent=found, redirect_url=redirect)


async def _settled(ctx: Context, stripe_id: str) -> tuple[PaymentIntent, str | None]:
    settled = await settling.settle(ctx, stripe_id)
    assert settled is not None, stripe_id
    found, report = settled
    waiting = found.status is IntentStatus.NEEDS_ACTION
    return found, report.redirect_url if waiting else None

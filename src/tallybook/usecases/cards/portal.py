"""Stripe's customer portal: a link into it for a customer of ours, and back to where they came from."""

from __future__ import annotations

from tallybook.domain.identity.callers import Caller
from tallybook.stripe import cards
from tallybook.stripe.gateway import configured
from tallybook.usecases import buyers, buying
from tallybook.usecases.context import Context


async def open_portal(ctx: Context, caller: Caller, *, user_id: int | None, return_url: str | None) -> str:
    """A link for one visit; someone who never bought becomes a customer first. It leads back to ``return_url``.

    Raises:
        UrlNotAllowedError: customers may not be sent there.
        StripeUnavailableError, StripeRefusedError: Stripe's part.
    """
    owner = caller.cardholder(user_id)
    stripe = configured(ctx.stripe)
    back = return_url or f"{ctx.pages_url}/billing"
    await buying.check_urls(ctx, back)
    buyer = await buyers.buyer_of(ctx, stripe, owner)

    async def make(customer_id: str) -> str:
        return await cards.portal_url(stripe, customer_id, return_url=back)

    _, url = await buyers.with_customer(ctx, stripe, buyer, make)
    return url

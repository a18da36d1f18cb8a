"""Who buys: a user as Stripe's customer, one for each user whatever comes at once. Shared by use cases, none itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from tallybook.domain.errors import (
    BillingError,
    StripeOutcomeSealedError,
    StripeRefusedError,
    StripeUnavailableError,
)
from tallybook.postgres import customers
from tallybook.stripe.gateway import StripeGateway
from tallybook.usecases.context import Context

_T = TypeVar("_T")
_CUSTOMER_ATTEMPTS = 2
"""Stripe is asked for a customer so often at one go: a failure that it repeats, then under a new key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Buyer:
    """Who buys, as far as Stripe knows, and the name of this database there."""

    customer: customers.Customer
    deployment: str


async def buyer_of(ctx: Context, stripe: StripeGateway, user_id: int) -> Buyer:
    """A user as a buyer: an active one, of the Stripe account that this database serves.

    Raises:
        UserNotFoundError, UserInactiveError: nobody who may buy.
        StripeAccountMismatchError: the database serves another account.
    """
    identity = await stripe.account()
    async with ctx.db.transaction() as tx:
        account = await customers.record_account(
            tx, ctx.clock(), account_id=identity.account_id, livemode=ctx.livemode
        )
        customer = await customers.intend_customer(tx, ctx.clock(), user_id=user_id)
    return Buyer(customer=customer, deployment=str(account.deployment_id))


async def with_customer(
    ctx: Context, stripe: StripeGateway, buyer: Buyer, make: Callable[[str], Awaitable[_T]]
) -> tuple[str, _T]:
    """Make something for the buyer's Stripe customer; one who was deleted at Stripe is made anew, once."""
    customer, customer_id = await known_to_stripe(ctx, stripe, buyer.customer, buyer.deployment)
    try:
        return customer_id, await make(customer_id)
    except StripeRefusedError as refusal:
        missing = refusal.facts.get("stripe_code") == "resource_missing"
        if not missing or not await stripe.customer_is_gone(customer_id):
            raise
        async with ctx.db.transaction() as tx:
            customer = await customers.forget_customer(tx, ctx.clock(), customer)
        customer, customer_id = await known_to_stripe(ctx, stripe, customer, buyer.deployment)
        return customer_id, await make(customer_id)


async def known_to_stripe(
    ctx: Context, stripe: StripeGateway, customer: customers.Customer, deployment: str
) -> tuple[customers.Customer, str]:
    """The user's one Stripe customer and its id; whoever makes it sends the same key, so races make one."""
    refused: BillingError = StripeUnavailableError()
    for _ in range(_CUSTOMER_ATTEMPTS):
        if customer.stripe_customer_id is not None:
            break
        try:
            made = await stripe.create_customer(
                email=customer.email,
                metadata={"user_id": str(customer.user_id), "deployment": deployment},
                idempotency_key=f"customer:{customer.intent_id}:{customer.attempt}",
            )
        except (StripeRefusedError, StripeOutcomeSealedError) as refusal:
            # Stored under this key, or the e-mail changed since it was first sent: only another key can help.
            refused = refusal
            async with ctx.db.transaction() as tx:
                customer = await customers.next_attempt(tx, ctx.clock(), customer)
        else:
            async with ctx.db.transaction() as tx:
                customer = await customers.keep_customer(tx, ctx.clock(), customer, stripe_customer_id=made)
    if customer.stripe_customer_id is None:
        raise refused
    return customer, customer.stripe_customer_id

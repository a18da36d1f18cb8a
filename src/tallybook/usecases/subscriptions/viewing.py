"""Shows subscriptions and their invoices by our own books; Stripe is not asked."""

from __future__ import annotations

from dataclasses import dataclass

from tallybook.domain.errors import NotFoundError, PermissionDeniedError, SubscriptionNotFoundError
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.ids import parse_plain_id
from tallybook.domain.money import Credits
from tallybook.domain.payments.invoices import KnownInvoice
from tallybook.domain.payments.subscriptions import Subscription, SubscriptionStatus
from tallybook.postgres import subscription_invoices, subscriptions
from tallybook.postgres.pool import Transaction
from tallybook.usecases.context import Context

INVOICES_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a user pays for, newest first; ``credits`` are those of the first that lives, for a period."""

    user_id: int
    live: list[Subscription]
    ended: list[Subscription]
    credits: Credits | None
    invoices: list[KnownInvoice]

    @property
    def is_entitled(self) -> bool:
        """Whether a plan runs now, paid or on trial."""
        runs = (SubscriptionStatus.ACTIVE, SubscriptionStatus.TRIALING)
        return any(one.status in runs for one in self.live)


async def found_for(tx: Transaction, caller: Caller, reference: str) -> Subscription:
    """A subscription by our id (``sbs_12``) or Stripe's, if the caller may act for its user.

    Raises:
        SubscriptionNotFoundError: there is none, or it is another user's.
    """
    try:
        found = await subscriptions.by_id(tx, parse_plain_id("sbs", reference))
    except NotFoundError:
        found = await subscriptions.by_stripe_id(tx, reference)
    if found is None:
        raise SubscriptionNotFoundError
    try:
        caller.user_for(found.user_id, Permission.PURCHASE_CREDITS)
    except PermissionDeniedError:
        raise SubscriptionNotFoundError from None
    return found


async def one(ctx: Context, caller: Caller, reference: str) -> tuple[Subscription, list[KnownInvoice]]:
    """A subscription and its newest invoices.

    Raises:
        SubscriptionNotFoundError: there is none, or it is another user's.
    """
    async with ctx.db.snapshot() as tx:
        found = await found_for(tx, caller, reference)
        return found, await subscription_invoices.of_subscription(
            tx, found.subscription_id, limit=INVOICES_MAX
        )


async def of_user(ctx: Context, caller: Caller, user_id: int | None) -> list[Subscription]:
    """The subscriptions of a user, by default the caller's own, newest first."""
    whose = caller.user_for(user_id, Permission.PURCHASE_CREDITS)
    async with ctx.db.snapshot() as tx:
        return await subscriptions.of_user(tx, whose)


async def summary(ctx: Context, caller: Caller, user_id: int) -> Summary:
    """What a user pays for, with the newest invoices of the newest subscription."""
    whose = caller.user_for(user_id, Permission.PURCHASE_CREDITS)
    async with ctx.db.snapshot() as tx:
        found = await subscriptions.of_user(tx, whose)
        invoices = []
        if found:
            invoices = await subscription_invoices.of_subscription(tx, found[0].subscription_id, limit=1)
    live = [one for one in found if one.status.lives]
    plan, quantity, _ = live[0].coming if live else ("", 0, None)
    product = ctx.catalog.by_lookup_key(plan)
    return Summary(
        user_id=whose,
        live=live,
        ended=[one for one in found if one.status.has_ended],
        credits=None if product is None else Credits(product.credits.micro * quantity),
        invoices=invoices,
    )


async def newest(
    ctx: Context, caller: Caller, *, status: SubscriptionStatus | None, limit: int
) -> list[Subscription]:
    """The newest subscriptions of everybody, for operators."""
    caller.require_admin()
    async with ctx.db.snapshot() as tx:
        return await subscriptions.newest(tx, status=status, limit=limit)

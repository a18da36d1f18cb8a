"""Saved methods: save one, list them, charge another one first, let go of one. Stripe has them; we keep no copy."""

from __future__ import annotations

from tallybook.domain.errors import PaymentMethodNotFoundError
from tallybook.domain.identity.callers import HOUSE_APP_ID, Caller, Permission
from tallybook.domain.payments.inbox import EventStatus, Lease
from tallybook.domain.payments.saved_methods import Purse, SetupReport
from tallybook.postgres import audit, customers, inbox, top_ups
from tallybook.postgres.fences import fenced, hold_fence
from tallybook.postgres.pool import Transaction
from tallybook.stripe import cards
from tallybook.stripe.gateway import StripeGateway, configured
from tallybook.usecases import buyers
from tallybook.usecases.context import Context

_ACTOR = ("system", "fulfilment")
_OPENED_BY = "opened_by"
_CARDHOLDER = "cardholder"
"""What a setup intent says at Stripe that the user in the house, or an admin, opened; all others are an app's."""
_NOBODY = Purse(customer_id="", default_id=None, methods=())


async def open_setup(ctx: Context, caller: Caller, *, user_id: int | None, key: str) -> SetupReport:
    """A form in which a customer saves a card; its ``client_secret`` is for their browser.

    The same key gives the same setup intent for a day.

    Raises:
        StripeUnavailableError, StripeRefusedError: Stripe's part.
    """
    owner = caller.user_for(user_id, Permission.PURCHASE_CREDITS)
    stripe = configured(ctx.stripe)
    buyer = await buyers.buyer_of(ctx, stripe, owner)
    scope = ctx.sealer.terms("setup intent", [owner, caller.app_id, caller.scoped_key(key)]).hex()

    async def start(customer_id: str) -> SetupReport:
        return await cards.start_setup(
            stripe,
            customer_id=customer_id,
            metadata={
                "user_id": str(owner),
                "deployment": buyer.deployment,
                _OPENED_BY: _CARDHOLDER if _is_cardholder(caller, owner) else "app",
            },
            idempotency_key=f"setup:{customer_id}:{scope[:64]}",
        )

    _, report = await buyers.with_customer(ctx, stripe, buyer, start)
    return report


def _is_cardholder(caller: Caller, owner: int) -> bool:
    own = caller.app_id == HOUSE_APP_ID and not caller.by_key and caller.user_id == owner
    return own or caller.rules_the_house


async def get(ctx: Context, caller: Caller, *, user_id: int | None) -> Purse:
    """What a user has saved, newest first; nothing if they never bought."""
    owner = caller.cardholder(user_id)
    stripe = configured(ctx.stripe)
    async with ctx.db.snapshot() as tx:
        customer_id = await customers.stripe_id_of(tx, owner)
    return _NOBODY if customer_id is None else await cards.purse(stripe, customer_id) or _NOBODY


async def make_default(ctx: Context, caller: Caller, method_id: str, *, user_id: int | None) -> Purse:
    """Charge this method first from now on; a top-up that was stopped because of the card goes on.

    Raises:
        PaymentMethodNotFoundError: the user has none of this id.
    """
    owner = caller.cardholder(user_id)
    stripe = configured(ctx.stripe)
    purse = await _with(ctx, stripe, owner, method_id)
    await cards.make_default(stripe, purse.customer_id, method_id)
    async with ctx.db.transaction() as tx:
        await top_ups.resume(tx, ctx.clock(), owner)
        subject = ("payment_method", method_id)
        await audit.record(tx, ctx.clock(), caller.actor, "payment_method.made_default", subject)
    return await get(ctx, caller, user_id=owner)


async def let_go(ctx: Context, caller: Caller, method_id: str, *, user_id: int | None) -> None:
    """Remove a saved method for good; a top-up that would charge it stops, and says so, when it is due.

    Raises:
        PaymentMethodNotFoundError: the user has none of this id.
    """
    owner = caller.cardholder(user_id)
    stripe = configured(ctx.stripe)
    await _with(ctx, stripe, owner, method_id)
    await cards.detach(stripe, method_id)
    async with ctx.db.transaction() as tx:
        subject = ("payment_method", method_id)
        await audit.record(tx, ctx.clock(), caller.actor, "payment_method.detached", subject)


async def follow_setup(ctx: Context, setup_id: str, *, lease: Lease) -> None:
    """A setup intent ended at Stripe: the first card that a customer saves is the one to charge.

    One that an app opened is, only if there is no other; and it lets nothing go on that was stopped.
    """
    stripe = configured(ctx.stripe)
    report = await cards.setup(stripe, setup_id)
    if report.status != "succeeded" or report.customer_id is None or report.method_id is None:
        await _done(ctx, lease, "not_saved")
        return
    by_cardholder = report.metadata.get(_OPENED_BY) == _CARDHOLDER
    await _follow(ctx, stripe, report.customer_id, lease, saved=report.method_id, by_cardholder=by_cardholder)


async def follow_method(ctx: Context, method_id: str, *, lease: Lease) -> None:
    """A saved method changed at Stripe, or was let go of."""
    stripe = configured(ctx.stripe)
    customer_id = await cards.customer_of_method(stripe, method_id)
    if customer_id is None:
        await _done(ctx, lease, "nobodys")
        return
    await _follow(ctx, stripe, customer_id, lease, saved=None)


async def follow_customer(ctx: Context, customer_id: str, *, lease: Lease) -> None:
    """A customer changed at Stripe, or was deleted there: then the next purchase makes another one."""
    await _follow(ctx, configured(ctx.stripe), customer_id, lease, saved=None)


async def _follow(
    ctx: Context,
    stripe: StripeGateway,
    customer_id: str,
    lease: Lease,
    *,
    saved: str | None,
    by_cardholder: bool = False,
) -> None:
    """Make our books agree with what a customer of ours can be charged with; others are foreign."""
    async with ctx.db.snapshot() as tx:
        known = await customers.by_stripe_id(tx, customer_id)
    if known is None:
        await _done(ctx, lease, "foreign")
        return
    async with fenced(ctx.db, ctx.clock, customer_id) as fence:
        purse = await cards.purse(stripe, customer_id)
        if (
            purse is not None
            and saved is not None
            and purse.default_id is None
            and purse.has(saved)
            and (by_cardholder or len(purse.methods) == 1)
        ):
            await cards.make_default(stripe, customer_id, saved)
            purse = await cards.purse(stripe, customer_id)
        async with ctx.db.transaction() as tx:
            await hold_fence(tx, fence)
            outcome = await _applied(ctx, tx, known, purse, saved=saved if by_cardholder else None)
            await inbox.settle(tx, ctx.clock(), lease, status=EventStatus.DONE, outcome=outcome)


async def _applied(
    ctx: Context,
    tx: Transaction,
    known: customers.Customer,
    purse: Purse | None,
    *,
    saved: str | None,
) -> str:
    now = ctx.clock()
    if purse is None:
        await customers.forget_customer(tx, now, known)
        subject = ("user", str(known.user_id))
        await audit.record(tx, now, _ACTOR, "customer.forgotten", subject)
        return "forgotten"
    if saved is not None and purse.to_charge == saved and await top_ups.resume(tx, now, known.user_id):
        return "top_up_resumed"
    return "followed"


async def _with(ctx: Context, stripe: StripeGateway, user_id: int, method_id: str) -> Purse:
    """The user's purse, if the method is in it."""
    async with ctx.db.snapshot() as tx:
        customer_id = await customers.stripe_id_of(tx, user_id)
    purse = None if customer_id is None else await cards.purse(stripe, customer_id)
    if purse is None or not purse.has(method_id):
        raise PaymentMethodNotFoundError
    return purse


async def _done(ctx: Context, lease: Lease, outcome: str) -> None:
    async with ctx.db.transaction() as tx:
        await inbox.settle(tx, ctx.clock(), lease, status=EventStatus.DONE, outcome=outcome)

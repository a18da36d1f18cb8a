"""Begins a subscription whose first payment a form of the caller's takes; Stripe's page is ``opening``'s."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tallybook.domain.catalog.links import Link
from tallybook.domain.errors import (
    BillingError,
    PermissionDeniedError,
    StripeOutcomeSealedError,
    StripeRefusedError,
    SubscriptionSupersededError,
    TaxLocationRequiredError,
)
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.money import Money
from tallybook.domain.payments import promotions
from tallybook.domain.payments.addresses import Address
from tallybook.domain.payments.subscriptions import Subscription, SubscriptionReport, Terms
from tallybook.postgres import customers, subscriptions
from tallybook.postgres.pool import Transaction
from tallybook.stripe import cards
from tallybook.stripe import promotions as at_stripe
from tallybook.stripe.billing import SubscriptionOrder
from tallybook.stripe.gateway import StripeGateway, configured
from tallybook.usecases import buyers, buying
from tallybook.usecases.context import Context
from tallybook.usecases.subscriptions import opening, placing, settling
from tallybook.usecases.subscriptions.opening import Wish

_NO_LOCATION = "customer_tax_location_invalid"
"""What Stripe says when it cannot tell where tax is due: https://docs.stripe.com/error-codes"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A subscription that waits for its first payment; ``client_secret`` is for the payment form, if one is due."""

    subscription: Subscription
    client_secret: str | None
    replayed: bool


async def begin(
    ctx: Context,
    caller: Caller,
    *,
    reference: str | int,
    quantity: int,
    user_id: int | None,
    payment_method_id: str | None,
    key: str | None,
    promotion_code: str | None = None,
    address: Address | None = None,
) -> Begun:
    """Begin a subscription whose first payment a form takes (``default_incomplete``): nothing is granted before it.

    ``address`` is where tax is due, if Stripe Tax reckons it; it goes to Stripe's customer.

    Raises:
        PermissionDeniedError: nothing is to be paid now, and a saved card is charged later, which is not the caller's.
        PromotionCodeError: the code cannot be used for this, or the user has used it; nothing was begun.
        TaxLocationRequiredError: tax is reckoned, and Stripe does not know where the customer lives.
        And as ``opening.open_checkout``.
    """
    buyer = caller.user_for(user_id, Permission.PURCHASE_CREDITS)
    stripe = configured(ctx.stripe)
    product, link = await buying.product(ctx, stripe, reference, "subscription")
    buying.check_quantity(quantity)
    code = None if promotion_code is None else promotion_code.strip()
    terms = Terms(
        user_id=buyer,
        lookup_key=product.lookup_key,
        quantity=quantity,
        payment_method_id=payment_method_id,
        promotion_code=code,
    )
    wish = opening.wish(terms, product, link, app_id=caller.app_id, key=caller.scoped_key(key))
    async with ctx.db.snapshot() as tx:
        before = await opening.of_key(tx, wish)
    if before is not None:
        # Bound with the attempt: a retry sends the same code, though it is used up by itself.
        wish = replace(wish, promotion_code_id=before.stripe_promotion_code_id)
    else:
        if code is not None or product.trial_days:
            await _check_who_pays_later(ctx, caller, stripe, buyer)
        if code is not None:
            wish = replace(wish, promotion_code_id=await _code_id(ctx, stripe, wish, link, code))

    async def take(tx: Transaction) -> Subscription:
        return await opening.of_key(tx, wish) or await opening.intended(ctx, tx, wish, None)

    who, attempt = await placing.place_taken(ctx, stripe, buyer, take)
    replayed = attempt.stripe_subscription_id is not None
    if not replayed:
        if attempt.status.has_ended:
            raise SubscriptionSupersededError
        attempt = await _begun(
            ctx, stripe, attempt, who, payment_method_id=payment_method_id, address=address
        )
    assert attempt.stripe_subscription_id is not None
    secret = await stripe.client_secret(attempt.stripe_subscription_id)
    return Begun(subscription=attempt, client_secret=secret, replayed=replayed)


async def _check_who_pays_later(ctx: Context, caller: Caller, stripe: StripeGateway, buyer: int) -> None:
    """A free period needs no payment form, and the next one charges the card that was saved: its holder has to ask."""
    if caller.holds_cards_of(buyer):
        return
    async with ctx.db.snapshot() as tx:
        customer_id = await customers.stripe_id_of(tx, buyer)
    purse = None if customer_id is None else await cards.purse(stripe, customer_id)
    if purse is not None and purse.to_charge is not None:
        raise PermissionDeniedError(
            "A saved card would be charged after the free period: the user begins it, signed in to Tallybook itself,"
            " or pays on Stripe's page."
        )


async def _code_id(ctx: Context, stripe: StripeGateway, wish: Wish, link: Link, code: str) -> str:
    """The code's id at Stripe.

    Raises:
        PromotionCodeError: it cannot be used.
    """
    if not stripe.sales.promotion_codes:
        raise promotions.refused(promotions.Fault.SWITCHED_OFF)
    if not code:
        raise promotions.refused(promotions.Fault.UNKNOWN)
    who = await buyers.buyer_of(ctx, stripe, wish.terms.user_id)
    purchase = promotions.Purchase(
        customer_id=who.customer.stripe_customer_id,
        product_id=link.product_id,
        price=Money(link.price.minor * wish.terms.quantity, link.price.currency),
    )
    found = promotions.chosen(await at_stripe.named(stripe, code), purchase, ctx.clock())
    async with ctx.db.snapshot() as tx:
        if await subscriptions.used_code(tx, user_id=wish.terms.user_id, promotion_code_id=found.id):
            # Who could begin with it again and again would have a free period each time, and keep its credits.
            raise promotions.refused(promotions.Fault.USED_UP)
    return found.id


async def _begun(
    ctx: Context,
    stripe: StripeGateway,
    attempt: Subscription,
    who: buyers.Buyer,
    *,
    payment_method_id: str | None,
    address: Address | None,
) -> Subscription:
    """The attempt with its subscription at Stripe; an unknown outcome is retried by the same key."""

    async def make(customer_id: str) -> SubscriptionReport:
        async with ctx.db.snapshot() as tx:
            again = await subscriptions.by_id(tx, attempt.subscription_id)
        assert again is not None
        order = SubscriptionOrder(
            customer_id=customer_id,
            price_id=attempt.stripe_price_id,
            quantity=attempt.quantity,
            trial_days=attempt.trial_days,
            payment_method_id=payment_method_id,
            promotion_code_id=attempt.stripe_promotion_code_id,
            metadata={
                **opening.metadata(attempt),
                "user_id": str(attempt.user_id),
                "deployment": who.deployment,
            },
        )
        stripe_key = f"subscription:{again.intent_id}:{again.attempt}"
        try:
            if address is not None and stripe.sales.automatic_tax:
                await stripe.locate_customer(customer_id, address)
            if payment_method_id is not None:
                await stripe.attach_payment_method(
                    payment_method_id, customer_id, idempotency_key=f"{stripe_key}:method"
                )
            return await stripe.create_subscription(order, idempotency_key=stripe_key)
        except (StripeRefusedError, StripeOutcomeSealedError) as refusal:
            async with ctx.db.transaction() as tx:
                await subscriptions.next_attempt(tx, ctx.clock(), again)
            raise _in_our_words(refusal) from refusal

    customer_id, report = await buyers.with_customer(ctx, stripe, who, make)
    async with ctx.db.transaction() as tx:
        began = await subscriptions.began(
            tx,
            ctx.clock(),
            attempt.subscription_id,
            stripe_subscription_id=report.id,
            stripe_customer_id=customer_id,
        )
        now = await subscriptions.by_stripe_id(tx, report.id)
    if not began and (now is None or now.subscription_id != attempt.subscription_id):
        made = replace(attempt, stripe_subscription_id=report.id, latest_invoice_id=report.latest_invoice_id)
        await placing.voided(ctx, stripe, made)
        raise SubscriptionSupersededError
    settled = await settling.follow(ctx, customer_id, report.id, newest_invoice=True)
    assert settled.subscription is not None
    return settled.subscription


def _in_our_words(refusal: BillingError) -> BillingError:
    """What Stripe refuses of a code or an address has a code of ours; the rest stays as it is."""
    stripe_code, param = refusal.facts.get("stripe_code"), str(refusal.facts.get("stripe_param"))
    if stripe_code == _NO_LOCATION or param.startswith("address"):
        return TaxLocationRequiredError(stripe_code=stripe_code)
    if param.startswith("discounts"):
        return promotions.refused(promotions.Fault.NOT_APPLICABLE, stripe_code=stripe_code)
    return refusal

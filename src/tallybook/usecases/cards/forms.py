"""The payment form: a payment intent whose price and credits are bound here, and a look at how far it is.

The browser pays with the ``client_secret``; what it reports is not believed.
"""

from __future__ import annotations

from dataclasses import dataclass

from tallybook.domain.catalog.links import find
from tallybook.domain.catalog.pricing import unit_price
from tallybook.domain.errors import (
    AmountNotSoldError,
    AmountOutOfRangeError,
    IdempotencyKeyReusedError,
    ModeMismatchError,
    PaymentIntentNotFoundError,
    PermissionDeniedError,
    PriceNotFoundError,
    StripeOutcomeSealedError,
    StripeRefusedError,
)
from tallybook.domain.identity.callers import HOUSE_APP_ID, Caller, Permission
from tallybook.domain.ids import plain_id
from tallybook.domain.money import Credits, Money, positive
from tallybook.domain.payments.checkouts import QUANTITY_MAX
from tallybook.domain.payments.payment_intents import (
    IntentStatus,
    IntentTerms,
    PaymentIntent,
    PaymentIntentReport,
)
from tallybook.domain.payments.payments import Source
from tallybook.domain.rates import chargeable
from tallybook.postgres import catalog, ledger, payment_intents
from tallybook.stripe import cards
from tallybook.stripe.gateway import StripeGateway, configured
from tallybook.usecases import buyers
from tallybook.usecases.cards import settling
from tallybook.usecases.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A payment intent, and what a browser needs to pay it while it can still be paid."""

    intent: PaymentIntent
    client_secret: str | None
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the form is to charge for: a product so many times, or an amount of money at the catalogue's rate."""

    reference: str | int | None
    quantity: int
    amount_minor: int | None
    currency: str | None
    saves_method: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Priced:
    terms: IntentTerms
    description: str
    credits: Credits
    price: Money


async def open_form(
    ctx: Context, caller: Caller, wish: Wish, *, user_id: int | None, key: str | None
) -> Form:
    """A payment intent whose price and credits are bound now, by us: what a browser sends is no price.

    Raises:
        PriceNotFoundError, ModeMismatchError, CatalogNotPushedError: nothing that can be bought so.
        AmountNotSoldError: an amount alone, and no rate is set for its currency.
        IdempotencyKeyReusedError: the key was used for other terms.
        StripeUnavailableError, StripeRefusedError: Stripe's part.
    """
    buyer_id = caller.user_for(user_id, Permission.PURCHASE_CREDITS)
    stripe = configured(ctx.stripe)
    priced = await _priced(ctx, buyer_id, wish)
    buyer = await buyers.buyer_of(ctx, stripe, buyer_id)
    found = await _intended(ctx, caller, priced, key)
    if found.stripe_id is not None:
        before = await cards.payment_intent(stripe, found.stripe_id)
        return Form(intent=found, client_secret=_secret(found, before), replayed=True)

    async def start(customer_id: str) -> PaymentIntentReport:
        return await _started(ctx, stripe, found.number, customer_id, buyer.deployment)

    customer_id, report = await buyers.with_customer(ctx, stripe, buyer, start)
    async with ctx.db.transaction() as tx:
        kept = await payment_intents.opened(
            tx, ctx.clock(), found, stripe_id=report.id, customer_id=customer_id, livemode=ctx.livemode
        )
    return Form(intent=kept, client_secret=_secret(kept, report))


async def look(ctx: Context, caller: Caller, number: int) -> Form:
    """How far a payment intent is; settled first, so that a page need not wait for the webhook.

    Raises:
        PaymentIntentNotFoundError: there is none, or it is another user's.
    """
    found = await own(ctx, caller, number)
    if found.status is IntentStatus.SUCCEEDED or found.stripe_id is None:
        return Form(intent=found, client_secret=None)
    settled = await settling.settle(ctx, found.stripe_id)
    assert settled is not None, found.number
    again, report = settled
    return Form(intent=again, client_secret=_secret(again, report) if _may_pay(caller, again) else None)


async def own(ctx: Context, caller: Caller, number: int) -> PaymentIntent:
    """The payment intent of this number, if it is the caller's to see; a top-up is seen by its cardholder only.

    Raises:
        PaymentIntentNotFoundError: there is none, or it is another user's.
    """
    async with ctx.db.snapshot() as tx:
        found = await payment_intents.by_number(tx, number)
    if found is None:
        raise PaymentIntentNotFoundError
    try:
        caller.user_for(found.user_id, Permission.PURCHASE_CREDITS)
        if found.source is Source.TOP_UP:
            caller.cardholder(found.user_id)
    except PermissionDeniedError:
        raise PaymentIntentNotFoundError from None
    return found


def _may_pay(caller: Caller, found: PaymentIntent) -> bool:
    """Whether its secret is this caller's to have: the app's that opened it, its user's in the house, an admin's."""
    in_house = caller.app_id == HOUSE_APP_ID and caller.user_id == found.user_id
    return in_house or caller.app_id == found.app_id or caller.rules_the_house


def _secret(found: PaymentIntent, report: PaymentIntentReport | None) -> str | None:
    """What a browser may pay with; nothing once it is paid or given up, and nothing that charges a saved card."""
    payable = found.source is Source.PAYMENT_FORM and found.status in (
        IntentStatus.OPEN,
        IntentStatus.NEEDS_ACTION,
    )
    return report.client_secret if report is not None and payable else None


async def _priced(ctx: Context, user_id: int, wish: Wish) -> _Priced:
    if not 1 <= wish.quantity <= QUANTITY_MAX:
        raise AmountOutOfRangeError(f"The quantity must be 1 to {QUANTITY_MAX}.")
    if wish.reference is None:
        return _at_the_rate(ctx, user_id, wish)
    async with ctx.db.snapshot() as tx:
        links = await catalog.links(tx)
    product = find(ctx.catalog, links, wish.reference)
    if product is None:
        raise PriceNotFoundError
    if product.mode != "payment":
        raise ModeMismatchError
    unit = unit_price(product, links.get(product.lookup_key), wish.currency)
    return _Priced(
        terms=IntentTerms(
            user_id=user_id,
            lookup_key=product.lookup_key,
            quantity=wish.quantity,
            amount_minor=None,
            currency=unit.currency,
            saves_method=wish.saves_method,
        ),
        description=f"{product.name} x {wish.quantity}",
        credits=positive(Credits(product.credits.micro * wish.quantity)),
        price=chargeable(Money(unit.minor * wish.quantity, unit.currency)),
    )


def _at_the_rate(ctx: Context, user_id: int, wish: Wish) -> _Priced:
    """An amount alone says nothing of credits; only a rate that the operator set does."""
    assert wish.amount_minor is not None
    assert wish.currency is not None
    rate = ctx.catalog.rate(wish.currency)
    if rate is None:
        raise AmountNotSoldError(currency=wish.currency)
    price = chargeable(Money(wish.amount_minor, wish.currency))
    return _Priced(
        terms=IntentTerms(
            user_id=user_id,
            lookup_key=None,
            quantity=1,
            amount_minor=price.minor,
            currency=price.currency,
            saves_method=wish.saves_method,
        ),
        description=f"Credits for {price}",
        credits=rate.credits_for(price),
        price=price,
    )


async def _intended(ctx: Context, caller: Caller, priced: _Priced, key: str | None) -> PaymentIntent:
    """The payment intent of this key, written down now if it is the first time."""
    now, scoped = ctx.clock(), caller.scoped_key(key)
    async with ctx.db.transaction() as tx:
        wallet_id = await ledger.open_wallet(tx, now, user_id=priced.terms.user_id)
        draft = payment_intents.Draft(
            source=Source.PAYMENT_FORM,
            wallet_id=wallet_id,
            app_id=caller.app_id,
            key=scoped,
            terms=priced.terms,
            description=priced.description,
            credits=priced.credits,
            price=priced.price,
            look_at=now,
        )
        found = await payment_intents.intend(tx, now, draft)
        if found is None:
            assert scoped is not None
            found = await payment_intents.by_key(
                tx, user_id=priced.terms.user_id, app_id=caller.app_id, key=scoped
            )
    assert found is not None
    if found.terms != priced.terms.digest():
        raise IdempotencyKeyReusedError
    return found


async def _started(
    ctx: Context, stripe: StripeGateway, number: int, customer_id: str, deployment: str
) -> PaymentIntentReport:
    async with ctx.db.snapshot() as tx:
        found = await payment_intents.by_number(tx, number)
    assert found is not None
    order = cards.IntentOrder(
        customer_id=customer_id,
        price=found.price,
        description=found.description,
        metadata=metadata_of(found, deployment),
        saves_method=found.saves_method,
    )
    try:
        return await cards.start(stripe, order, idempotency_key=found.idempotency_key)
    except (StripeRefusedError, StripeOutcomeSealedError):
        # This key can only repeat the same answer; whoever asks again gets a new one. Nobody can pay what nobody
        # has the secret of, so one that was made all the same does no harm.
        async with ctx.db.transaction() as tx:
            await payment_intents.next_attempt(tx, ctx.clock(), found)
        raise


def metadata_of(found: PaymentIntent, deployment: str) -> dict[str, str]:
    """What a payment intent says at Stripe about where it comes from; nothing is ever granted by it."""
    return {
        cards.INTENT_METADATA: str(found.intent_id),
        "payment_intent": plain_id("pin", found.number),
        "user_id": str(found.user_id),
        "credits": str(found.credits),
        "lookup_key": found.lookup_key or "",
        "deployment": deployment,
    }

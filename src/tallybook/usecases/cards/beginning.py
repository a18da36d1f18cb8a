"""Begins a top-up: whether one is due, for how much, and the row that keeps every other one out.

What is due is looked at again under the rule's lock, so that workers at once begin one. Stripe is asked nothing here.
"""

from __future__ import annotations

from datetime import timedelta

from tallybook.domain.catalog.pricing import unit_price
from tallybook.domain.errors import CatalogNotPushedError, PriceNotFoundError
from tallybook.domain.identity.callers import HOUSE_APP_ID
from tallybook.domain.money import Money
from tallybook.domain.payments import top_ups as rules
from tallybook.domain.payments.payment_intents import IntentTerms, PaymentIntent
from tallybook.domain.payments.payments import Source
from tallybook.domain.payments.top_ups import Purchase, Setback, StopReason, TopUpRule, Unit
from tallybook.domain.rates import Rate
from tallybook.postgres import audit, catalog, ledger, payment_intents, top_ups
from tallybook.postgres.pool import Transaction
from tallybook.usecases.context import Context

_ACTOR = ("system", "top_up")
WORK_LEASE = timedelta(minutes=2)
"""How long a charge is one worker's; longer than Stripe is waited for."""


async def due(ctx: Context, *, after: int, limit: int) -> list[int]:
    """The next wallets whose card may be charged now, with numbers above ``after``."""
    async with ctx.db.snapshot() as tx:
        return await top_ups.due(tx, ctx.clock(), after=after, limit=limit)


async def begun(ctx: Context, tx: Transaction, wallet_id: int) -> PaymentIntent | None:
    """The charge as it is written down, or None: looked at again under the rule's lock."""
    now = ctx.clock()
    rule = await top_ups.rule(tx, wallet_id, lock=True)
    if rule is None or not rule.terms.enabled or rule.stopped is not None or rule.not_before > now:
        return None
    wallet = await ledger.wallet(tx, wallet_id)
    missing = rules.gap(rule.terms, available_micro=wallet.available_micro, debt_micro=wallet.debt_micro)
    if missing <= 0 or wallet.is_frozen or not wallet.owner_is_active:
        return None
    sold = await _sold(ctx, tx, rule)
    if sold is None:
        await _stopped(ctx, tx, rule, StopReason.NOT_SOLD)
        return None
    purchase = rules.purchase(rule.terms, sold, missing, await _left(ctx, tx, rule))
    if purchase is None:
        await _capped(ctx, tx, rule)
        return None
    begun = await _written_down(ctx, tx, rule, sold, purchase)
    if begun is not None:
        after = {"amount_minor": purchase.price.minor, "amount_micro": purchase.credits.micro}
        subject = ("payment_intent", str(begun.number))
        await audit.record(tx, now, _ACTOR, "top_up.begun", subject, after=after)
    return begun


async def _written_down(
    ctx: Context, tx: Transaction, rule: TopUpRule, sold: Unit | Rate, purchase: Purchase
) -> PaymentIntent | None:
    """The charge's row, or None: another one is in flight."""
    now = ctx.clock()
    draft = payment_intents.Draft(
        source=Source.TOP_UP,
        wallet_id=rule.wallet_id,
        app_id=HOUSE_APP_ID,
        key=None,
        terms=IntentTerms(
            user_id=rule.user_id,
            lookup_key=rule.terms.lookup_key,
            quantity=purchase.quantity,
            amount_minor=purchase.price.minor,
            currency=purchase.price.currency,
            saves_method=False,
        ),
        description=_description(sold, purchase),
        credits=purchase.credits,
        price=purchase.price,
        look_at=now + WORK_LEASE,
    )
    return await payment_intents.intend(tx, now, draft)


def _description(sold: Unit | Rate, purchase: Purchase) -> str:
    if isinstance(sold, Unit):
        return f"Auto top-up: {sold.name} x {purchase.quantity}"
    return f"Auto top-up: {purchase.credits} credits"


async def _sold(ctx: Context, tx: Transaction, rule: TopUpRule) -> Unit | Rate | None:
    """What the rule buys, at today's price; None if that is not sold any more."""
    currency = rule.terms.monthly_cap.currency
    if rule.terms.lookup_key is None:
        return ctx.catalog.rate(currency)
    product = ctx.catalog.find(rule.terms.lookup_key)
    if product is None:
        return None
    links = await catalog.links(tx)
    try:
        price = unit_price(product, links.get(product.lookup_key), currency)
    except (CatalogNotPushedError, PriceNotFoundError):
        return None
    return Unit(name=product.name, credits=product.credits, price=price)


async def _left(ctx: Context, tx: Transaction, rule: TopUpRule) -> Money:
    """What of the month's cap is left; what is in flight counts as charged."""
    cap = rule.terms.monthly_cap
    charged = await payment_intents.charged_since(
        tx, rule.wallet_id, cap.currency, rules.month_start(ctx.clock())
    )
    return Money(max(0, cap.minor - charged.minor), cap.currency)


async def _stopped(ctx: Context, tx: Transaction, rule: TopUpRule, reason: StopReason) -> None:
    """Nothing can be charged before somebody does something, and that is said once."""
    now = ctx.clock()
    setback = Setback(declines=rule.declines, not_before=now, stopped=reason)
    await top_ups.set_back(tx, now, rule.wallet_id, setback)
    key = f"top_up.stopped:{rule.wallet_id}:{rule.revision}:{reason}:{now.isoformat()}"
    facts = {"stopped": str(reason)}
    await top_ups.announce(tx, now, "top_up.stopped", rule.wallet_id, key=key, facts=facts)


async def _capped(ctx: Context, tx: Transaction, rule: TopUpRule) -> None:
    """No room in this month: nothing is charged before the next one begins, and that is said once."""
    now = ctx.clock()
    until = rules.next_month(now)
    await top_ups.set_back(
        tx, now, rule.wallet_id, Setback(declines=rule.declines, not_before=until, stopped=None)
    )
    facts = {
        "monthly_cap_minor": rule.terms.monthly_cap.minor,
        "currency": rule.terms.monthly_cap.currency,
        "until": until.isoformat(),
    }
    key = f"top_up.capped:{rule.wallet_id}:{rule.revision}:{until:%Y-%m}"
    await top_ups.announce(tx, now, "top_up.capped", rule.wallet_id, key=key, facts=facts)

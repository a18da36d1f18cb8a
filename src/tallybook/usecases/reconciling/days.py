"""The check sum of each day: what Stripe's balance says against what our books say of the same payments."""

from __future__ import annotations

from tallybook.domain.money import Money
from tallybook.domain.payments.reconciling import (
    BalanceEntry,
    DailyTotal,
    Kind,
    Window,
    compare_total,
    totals,
)
from tallybook.postgres import payments
from tallybook.stripe import listings
from tallybook.stripe.gateway import configured
from tallybook.usecases.context import Context
from tallybook.usecases.reconciling import objects


async def totals_of(ctx: Context, window: Window) -> tuple[list[DailyTotal], objects.Compared]:
    """The check sum of each day: what Stripe's balance says against what our books say of the same payments."""
    entries: list[BalanceEntry] = []
    booked: dict[str, Money] = {}
    async for page in listings.balance(configured(ctx.stripe), window):
        entries += page
        intents = {one.payment_intent_id for one in page if one.payment_intent_id is not None}
        async with ctx.db.snapshot() as tx:
            known = await payments.by_payment_intents(tx, intents)
        booked |= {intent: payment.paid for intent, payment in known.items()}
    sums = totals(entries, booked)
    by_day = [(f"{one.day} {one.currency}", compare_total(one)) for one in sums]
    return sums, objects.compared(Kind.DAY, {name: [found] if found else [] for name, found in by_day})

"""Imports a Stripe account, customer by customer; subscriptions are settled by the same use case as for webhooks.

Here and not in a use case, since it calls several. It holds the reconciler's lock: neither runs while the other does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from tallybook.domain.identity.callers import Caller
from tallybook.domain.payments.importing import Imported, Options
from tallybook.usecases import events
from tallybook.usecases.context import Context
from tallybook.usecases.importing import customers, orders
from tallybook.usecases.reconciling import runs
from tallybook.usecases.subscriptions import settling


async def import_stripe(
    ctx: Context, caller: Caller, options: Options, *, applies: bool
) -> AsyncIterator[tuple[Imported, int]]:
    """Import all customers, each by itself; gives what became of each, and how many there are in all.

    What was stopped is gone on with under the same options; repeating adds what is new and nothing twice.

    Raises:
        StripeAccountMismatchError: the key is another account's.
        ReconciliationBusyError: a reconciliation, or another import, runs.
    """
    await events.identify(ctx)
    async with runs.alone(ctx):
        order, total = await orders.begin(ctx, caller, options, applies=applies)
        async for report in orders.every(ctx, order):
            taken = await customers.take(ctx, order, report)
            if applies and taken.outcome != "conflict":
                for subscription in taken.subscriptions:
                    await settling.settle_subscription(ctx, subscription)
            await orders.went_on(ctx, order, report)
            yield taken, total - order.done
        await orders.end(ctx, order)

"""What goes back of invoices: of one about to bring credits, and for money credited to the customer's balance."""

from __future__ import annotations

from tallybook.domain.errors import BillingError
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.requests import Account, Note
from tallybook.domain.money import Credits
from tallybook.domain.payments.invoices import PAID, InvoiceReport
from tallybook.domain.payments.money_back import Report
from tallybook.domain.payments.returns import returns
from tallybook.domain.payments.subscriptions import Subscription
from tallybook.postgres import ledger, money_back, payments, subscription_invoices
from tallybook.postgres.pool import Transaction
from tallybook.stripe import money_back as at_stripe
from tallybook.stripe.gateway import StripeGateway
from tallybook.usecases.context import Context


async def went_back(ctx: Context, stripe: StripeGateway, invoice: InvoiceReport) -> Report | None:
    """What went back of an invoice that is about to bring credits: nobody may tell of it any more.

    The reconciler, too, looks for what went back of payments that are in our books, before it mends what is not.
    """
    if invoice.status != PAID or invoice.payment_intent_id is None:
        return None
    async with ctx.db.snapshot() as tx:
        known = await payments.by_reference(tx, invoice.id)
    return None if known else await at_stripe.report(stripe, invoice.payment_intent_id, disputes=False)


async def settle(
    ctx: Context,
    tx: Transaction,
    subscription: Subscription,
    report: InvoiceReport,
    *,
    note: Note,
    wait: bool,
) -> Credits:
    """Take back what is owed now and was not taken before, in the invoice's transaction; gives how much that was.

    Also when ``report`` brought credits itself: an invoice may owe some of them that was heard of before it.

    Raises:
        WalletBusyError: another transaction holds the wallet, and ``wait`` is false.
    """
    now = ctx.clock()
    owing = await subscription_invoices.owing(tx, subscription.subscription_id)
    if not owing:
        return Credits(0)
    lots = await subscription_invoices.lots(tx, subscription.subscription_id)
    due = returns(owing, lots)
    changed = [one for one in lots if due.of_lot[one.lot] != one.returned.micro]
    for one in changed:
        await subscription_invoices.returned(tx, one, Credits(due.of_lot[one.lot]))
    for payment_id in sorted({one.payment_id for one in changed}):
        # Of what went with a refund as well, the refund takes less now: first it comes again, then it goes.
        payment = await payments.by_id(tx, payment_id)
        assert payment is not None, payment_id
        await money_back.apply(tx, now, payment, wait=wait, freezes=ctx.freeze_on_dispute)
    # In all it only grows; where a newer lot is heard of late, it gives what an older one had given for it.
    missing = sum(due.of_lot.values()) - sum(one.returned.micro for one in lots)
    taken = left = max(0, missing)
    for one in changed:
        part = Credits(min(left, max(0, due.of_lot[one.lot] - one.returned.micro)))
        if part.micro == 0:
            continue
        posting = recipes.clawback(
            subscription.wallet_id,
            part,
            house=Account.REFUNDED,
            key=f"stripe:invoice:{report.id}:taken_back:{one.lot.version}",
            lot=one.lot,
            note=note,
        )
        [answer] = await ledger.post(tx, now, [posting], wait=wait)
        if isinstance(answer, BillingError):
            # Rolled back with everything else, so that a later try can succeed.
            raise answer
        left -= part.micro
    for invoice in owing:
        amount = Credits(due.for_invoice[invoice.place.invoice_id])
        if amount != invoice.taken_back:
            await subscription_invoices.took_back(tx, now, invoice.place.invoice_id, amount)
    return Credits(taken)

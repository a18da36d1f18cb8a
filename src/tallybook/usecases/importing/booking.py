"""Books what an imported customer brings along: past payments, and an opening balance."""

from __future__ import annotations

from tallybook.domain.errors import AmountOutOfRangeError, BillingError, IdempotencyKeyReusedError
from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.requests import Note
from tallybook.domain.money import Credits
from tallybook.domain.payments.importing import (
    NOTHING,
    CustomerReport,
    Options,
    PastPart,
    PastPayment,
    opening_balance,
)
from tallybook.domain.payments.payments import Paid, Source
from tallybook.postgres import ledger, payments
from tallybook.postgres.pool import Transaction
from tallybook.usecases.context import Context


async def record(
    ctx: Context, tx: Transaction, report: CustomerReport, payment: PastPayment, whose: tuple[int, int]
) -> None:
    """Write a past payment down with the credits that it brings; ``whose``: the user and the wallet."""
    user_id, wallet_id = whose
    lots = [(await _granted(ctx, tx, wallet_id, payment, part), part.credits) for part in payment.parts]
    await payments.record(
        tx,
        ctx.clock(),
        Paid(
            wallet_id=wallet_id,
            user_id=user_id,
            source=Source.IMPORT,
            reference=payment.reference,
            stripe_customer_id=report.id,
            stripe_payment_intent_id=payment.payment_intent_id,
            lookup_key=payment.parts[0].lookup_key if payment.parts else None,
            description=payment.description,
            price=payment.money,
            from_balance_minor=payment.from_balance_minor,
            tax_minor=payment.tax_minor,
            lots=tuple(lots),
            receipt_url=payment.receipt_url,
        ),
        freezes=ctx.freeze_on_dispute,
        paid_at=payment.paid_at,
    )


async def _granted(
    ctx: Context, tx: Transaction, wallet_id: int, payment: PastPayment, part: PastPart
) -> LedgerId:
    """Under the key of the webhook's own grant: whichever comes, it is granted once."""
    note = Note(description=part.name, service="stripe", metadata={"imported": payment.reference})
    paid = payment.money if len(payment.parts) == 1 else None
    if part.is_plan:
        posting = recipes.plan_period(
            wallet_id,
            part.credits,
            paid=paid,
            reference=payment.reference,
            key=part.key,
            expires_at=part.expires_at,
            note=note,
        )
    else:
        posting = recipes.purchase(
            wallet_id, part.credits, paid=payment.money, reference=payment.reference, key=part.key, note=note
        )
    [answer] = await ledger.post(tx, ctx.clock(), [posting], wait=True)
    if isinstance(answer, BillingError):
        # Rolled back with everything else of this customer.
        raise answer
    return answer.transfer


async def opened(
    ctx: Context, tx: Transaction, options: Options, report: CustomerReport, wallet_id: int
) -> tuple[Credits, tuple[str, ...]]:
    """Grant the opening balance, once for each customer; what was granted just now, and conflicts."""
    opening, conflicts = opening_of(report, options)
    if opening is None or opening.micro == 0:
        return NOTHING, conflicts
    posting = recipes.adjustment(
        wallet_id,
        opening,
        app_id=0,
        key=f"import:{report.id}:opening_balance",
        note=Note(description="Opening balance", service="import", metadata={"customer": report.id}),
    )
    [answer] = await ledger.post(tx, ctx.clock(), [posting], wait=True)
    if isinstance(answer, IdempotencyKeyReusedError):
        return NOTHING, (*conflicts, "balance_changed")
    if isinstance(answer, BillingError):
        raise answer
    return NOTHING if answer.replayed else opening, conflicts


def opening_of(report: CustomerReport, options: Options) -> tuple[Credits | None, tuple[str, ...]]:
    """The opening balance that is given, and what is wrong with it."""
    try:
        return opening_balance(report, options), ()
    except AmountOutOfRangeError:
        return None, ("balance_unreadable",)

"""Payments: what was paid, what it brought, what went back of it; and what a refund would do. Stripe is not asked."""

from __future__ import annotations

from dataclasses import dataclass

from tallybook.domain.errors import PaymentNotFoundError, PermissionDeniedError, RefundExceedsError
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.ids import LedgerId
from tallybook.domain.money import Money
from tallybook.domain.payments.money_back import (
    Dispute,
    Preview,
    Refund,
    Sums,
    due,
    kept,
    moves,
    previewed,
)
from tallybook.domain.payments.payments import Payment
from tallybook.postgres import ledger, money_back, payments
from tallybook.postgres.pool import Transaction
from tallybook.usecases.context import Context

NEWEST = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A payment with the lots that it brought, and all that went back of it."""

    payment: Payment
    lots: tuple[LedgerId, ...]
    refunds: tuple[Refund, ...]
    disputes: tuple[Dispute, ...]


async def newest(
    ctx: Context, caller: Caller, *, user_id: int | None, before: int = NEWEST, limit: int
) -> list[Payment]:
    """Payments, newest first: the caller's own, a named user's if they may, or everybody's for an admin.

    Raises:
        PermissionDeniedError: another user's.
    """
    if not (user_id is None and caller.rules_the_house):
        user_id = caller.user_for(user_id, Permission.READ_CREDITS)
    async with ctx.db.snapshot() as tx:
        return await payments.newest(tx, user_id=user_id, before=before, limit=limit)


async def get(ctx: Context, caller: Caller, payment_id: int) -> Whole:
    """One payment with all that is known of it.

    Raises:
        PaymentNotFoundError: there is none, or it is another user's.
    """
    async with ctx.db.snapshot() as tx:
        found = await _visible(tx, caller, payment_id)
        return Whole(
            payment=found,
            lots=tuple(lot.id for lot in await money_back.lots(tx, found)),
            refunds=tuple(await money_back.refunds(tx, found.stripe_payment_intent_id)),
            disputes=tuple(await money_back.disputes(tx, found.stripe_payment_intent_id)),
        )


async def preview_refund(
    ctx: Context, caller: Caller, payment_id: int, *, amount_minor: int | None
) -> Preview:
    """What giving so much back (all that is left by default) would take, as the wallet is now.

    Raises:
        PermissionDeniedError: neither an admin nor an app that may refund. PaymentNotFoundError: there is none.
        RefundExceedsError: more than is left of it.
    """
    caller.require_refund()
    async with ctx.db.snapshot() as tx:
        payment = await payments.by_id(tx, payment_id)
        if payment is None:
            raise PaymentNotFoundError
        own = await money_back.lots(tx, payment)
        wallet = await ledger.wallet(tx, payment.wallet_id)
    amount = payment.refundable_minor if amount_minor is None else amount_minor
    if not 0 < amount <= payment.refundable_minor:
        raise RefundExceedsError(refundable_minor=payment.refundable_minor)
    sums = Sums(payment.refunded_minor + amount, payment.disputed_minor)
    after = due(payment.credits, kept(own), payment.value_minor, sums)
    return previewed(
        Money(amount, payment.paid.currency),
        sum(move.micro for move in moves(own, after)),
        own_available=sum(lot.available_micro for lot in own),
        own_held=sum(lot.held_micro for lot in own),
        wallet_available=wallet.available_micro,
    )


async def _visible(tx: Transaction, caller: Caller, payment_id: int) -> Payment:
    found = await payments.by_id(tx, payment_id)
    if found is None:
        raise PaymentNotFoundError
    if found.user_id is None:
        if not caller.rules_the_house:
            raise PaymentNotFoundError
        return found
    try:
        caller.user_for(found.user_id, Permission.READ_CREDITS)
    except PermissionDeniedError:
        raise PaymentNotFoundError from None
    return found

"""Makes our books agree with what went back of a payment: refunds and disputes, whatever event tells of them.

Every event of that kind leads to the payment intent; all its refunds and disputes are fetched afresh under the lease on
the customer, and what they make due is taken or restored. So lost, repeated and disordered events do no harm.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from tallybook.domain.errors import (
    BillingError,
    IdempotencyKeyReusedError,
    PaymentNotFoundError,
    RefundExceedsError,
    RefundNotPossibleError,
    StripeOutcomeSealedError,
    StripeRefusedError,
    WalletBusyError,
)
from tallybook.domain.identity.callers import Caller
from tallybook.domain.payments.inbox import EventStatus, Lease
from tallybook.domain.payments.money_back import Refund, Report
from tallybook.domain.payments.payments import Payment
from tallybook.postgres import audit, inbox, money_back, payments, refunds
from tallybook.postgres.fences import Fence, fenced, hold_fence
from tallybook.postgres.pool import Transaction
from tallybook.stripe import money_back as at_stripe
from tallybook.stripe.gateway import StripeGateway, configured
from tallybook.usecases.context import Context

_log = structlog.get_logger("tallybook.money_back")
_ACTOR = ("system", "money_back")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What settling did, in a word. ``unsettled_payment`` is the payment intent of a payment that is not in our books.

    Then the event is not done yet: the payment itself is to be settled, and grants what is due after what went back.
    """

    outcome: str
    payment: Payment | None = None
    unsettled_payment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A refund that we asked for, and its payment after it; ``replayed`` says that the key had asked for it before."""

    refund: Refund
    payment: Payment
    replayed: bool


async def settle_charge(ctx: Context, charge_id: str, *, lease: Lease | None = None) -> Settled:
    """The same as ``settle_refund``, for an event whose object is a charge."""
    return await _settle_object(ctx, "charge", charge_id, lease)


async def settle_refund(ctx: Context, refund_id: str, *, lease: Lease | None = None) -> Settled:
    """Take back what a refund makes due, or restore what one that failed had taken.

    With ``lease``, that event is marked done in the same transaction.

    Raises:
        FulfilmentBusyError: somebody else settles this customer, or our lease was lost; try again.
        StripeUnavailableError, StripeRefusedError, DatabaseUnavailableError, WalletBusyError: try again.
    """
    return await _settle_object(ctx, "refund", refund_id, lease)


async def settle_dispute(ctx: Context, dispute_id: str, *, lease: Lease | None = None) -> Settled:
    """The same for a dispute: while it is open and when it is lost its credits are taken, won ones come again."""
    return await _settle_object(ctx, "dispute", dispute_id, lease)


async def settle_payment_intent(
    ctx: Context, payment_intent_id: str, *, lease: Lease | None = None, disputes: bool = True
) -> Settled:
    """All that went back of a payment intent; without ``disputes`` they are asked for only if there ever were some."""
    async with ctx.db.snapshot() as tx:
        known = await payments.by_payment_intent(tx, payment_intent_id)
        disputes = disputes or bool(await money_back.disputes(tx, payment_intent_id))
    stripe = configured(ctx.stripe)
    first = None if known else await at_stripe.report(stripe, payment_intent_id, disputes=disputes)
    customer = known.stripe_customer_id if known else first.customer_id if first else None
    # A payment without a customer is nobody's but its own.
    async with fenced(ctx.db, ctx.clock, customer or payment_intent_id) as fence:
        report = await at_stripe.report(stripe, payment_intent_id, disputes=disputes)
        try:
            settled = await _in_lane(ctx, fence, report, lease, patient=False)
        except WalletBusyError:
            if known is None:
                raise
            # An app's open transaction on this wallet delays this event, not the others.
            async with ctx.db.turn(known.wallet_id):
                settled = await _in_lane(ctx, fence, report, lease, patient=True)
    _log.info("money_back_settled", payment_intent=payment_intent_id, outcome=settled.outcome)
    return settled


async def refund(
    ctx: Context, caller: Caller, payment_id: int, *, amount_minor: int | None, reason: str | None, key: str
) -> Made:
    """Give money of a payment back, all that is left of it by default, and take its credits back.

    The intent is written down before Stripe is asked, with the amount bound. An unknown outcome is retried by asking
    again with the same ``key``: Stripe is then asked with the same key too, after a look whether it was made.

    Raises:
        PermissionDeniedError: neither an admin nor an app that may refund. PaymentNotFoundError: there is none.
        RefundNotPossibleError: no money moved. RefundExceedsError: more than is left of it.
        IdempotencyKeyReusedError: the key was used for other terms.
        StripeUnavailableError, StripeOutcomeSealedError: ask again. StripeRefusedError: Stripe will not.
    """
    caller.require_refund()
    stripe = configured(ctx.stripe)
    async with ctx.db.transaction() as tx:
        payment = await _refundable(tx, payment_id)
        scoped = f"{caller.app_id} {caller.scoped_key(key)}"
        asked = _Asked(key=scoped, amount_minor=amount_minor, reason=reason)
        intent, asked_before = await _intended(ctx, tx, payment, asked)
    assert payment.stripe_payment_intent_id is not None
    if asked_before and intent.status != "made":
        await settle_payment_intent(ctx, payment.stripe_payment_intent_id, disputes=False)
        async with ctx.db.snapshot() as tx:
            again = await refunds.by_key(tx, payment_id, scoped)
        assert again is not None
        intent = again
    replayed = intent.status == "made"
    if not replayed:
        await _made(ctx, caller, stripe, payment, intent)
    return await _after(ctx, payment, scoped, replayed=replayed)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    key: str
    amount_minor: int | None
    reason: str | None


async def _refundable(tx: Transaction, payment_id: int) -> Payment:
    payment = await payments.by_id(tx, payment_id)
    if payment is None:
        raise PaymentNotFoundError
    if payment.stripe_payment_intent_id is None or payment.paid.minor == 0:
        raise RefundNotPossibleError
    return payment


async def _intended(
    ctx: Context, tx: Transaction, payment: Payment, asked: _Asked
) -> tuple[refunds.Intent, bool]:
    """The intent of this key, and whether it was there before."""
    found = await refunds.by_key(tx, payment.payment_id, asked.key)
    if found is None:
        amount = payment.refundable_minor if asked.amount_minor is None else asked.amount_minor
        if not 0 < amount <= payment.refundable_minor:
            raise RefundExceedsError(refundable_minor=payment.refundable_minor)
        made = await refunds.intend(
            tx,
            ctx.clock(),
            payment_id=payment.payment_id,
            key=asked.key,
            amount_minor=amount,
            asked_minor=asked.amount_minor,
            reason=asked.reason,
        )
        if made is not None:
            return made, False
        found = await refunds.by_key(tx, payment.payment_id, asked.key)
        assert found is not None
    if (found.asked_minor, found.reason) != (asked.amount_minor, asked.reason):
        raise IdempotencyKeyReusedError
    return found, True


async def _made(
    ctx: Context, caller: Caller, stripe: StripeGateway, payment: Payment, intent: refunds.Intent
) -> None:
    """Ask Stripe; what it made is written down with a line in the audit log, before its effect is settled."""
    assert payment.stripe_payment_intent_id is not None
    try:
        made = await at_stripe.refund(
            stripe,
            payment.stripe_payment_intent_id,
            amount_minor=intent.amount_minor,
            reason=intent.reason,
            intent_id=intent.refund_intent_id,
            idempotency_key=intent.idempotency_key,
        )
    except (StripeRefusedError, StripeOutcomeSealedError):
        async with ctx.db.transaction() as tx:
            await refunds.refused(tx, ctx.clock(), intent)
        raise
    report = Report(
        payment_intent_id=payment.stripe_payment_intent_id,
        customer_id=payment.stripe_customer_id,
        receipt_url=None,
        refunds=(made,),
        disputes=None,
    )
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        await money_back.project(tx, now, report)
        facts = {"refund": made.id, "amount_minor": made.amount.minor, "reason": intent.reason}
        subject = ("payment", str(payment.payment_id))
        await audit.record(tx, now, caller.actor, "payment.refunded", subject, after=facts)
    try:
        await settle_payment_intent(ctx, payment.stripe_payment_intent_id, disputes=False)
    except BillingError as refusal:
        # The money is on its way, and Stripe's own event settles what it takes.
        _log.warning("refund_settles_later", payment_id=payment.payment_id, code=refusal.code)


async def _after(ctx: Context, payment: Payment, key: str, *, replayed: bool) -> Made:
    async with ctx.db.snapshot() as tx:
        intent = await refunds.by_key(tx, payment.payment_id, key)
        after = await payments.by_id(tx, payment.payment_id)
        seen = await money_back.refunds(tx, payment.stripe_payment_intent_id)
    assert intent is not None
    assert after is not None
    [made] = [one for one in seen if one.id == intent.stripe_refund_id]
    return Made(refund=made, payment=after, replayed=replayed)


async def _settle_object(ctx: Context, kind: at_stripe.Kind, object_id: str, lease: Lease | None) -> Settled:
    payment_intent_id = await at_stripe.payment_intent_of(configured(ctx.stripe), kind, object_id)
    if payment_intent_id is None:
        # No payment of ours is without one.
        if lease is not None:
            async with ctx.db.transaction() as tx:
                await inbox.settle(tx, ctx.clock(), lease, status=EventStatus.DONE, outcome="foreign")
        return Settled(outcome="foreign")
    return await settle_payment_intent(ctx, payment_intent_id, lease=lease, disputes=kind == "dispute")


async def _in_lane(
    ctx: Context, fence: Fence, report: Report, lease: Lease | None, *, patient: bool
) -> Settled:
    """The effect and the event's done-mark in one transaction, if the lease on the customer still stands."""
    async with ctx.db.transaction(patient=patient) as tx:
        await hold_fence(tx, fence)
        settled = await _apply(ctx, tx, report, wait=patient)
        if lease is not None and settled.unsettled_payment is None:
            await inbox.settle(tx, ctx.clock(), lease, status=EventStatus.DONE, outcome=settled.outcome)
    return settled


async def _apply(ctx: Context, tx: Transaction, report: Report, *, wait: bool) -> Settled:
    now = ctx.clock()
    await money_back.project(tx, now, report)
    before = await payments.by_payment_intent(tx, report.payment_intent_id, lock=True)
    if before is None:
        return Settled(outcome="not_granted", unsettled_payment=report.payment_intent_id)
    await payments.keep_receipt(tx, report.payment_intent_id, report.receipt_url)
    after = await money_back.apply(tx, now, before, wait=wait, freezes=ctx.freeze_on_dispute)
    outcome = _outcome(before, after)
    if outcome != "unchanged":
        await audit.record(
            tx,
            now,
            _ACTOR,
            f"payment.{outcome}",
            ("payment", str(before.payment_id)),
            before=_facts(before),
            after=_facts(after)
            | {"transfers": [one.wire("trf") for one in await money_back.transfers_since(tx, before)]},
        )
    return Settled(outcome=outcome, payment=after)


def _outcome(before: Payment, after: Payment) -> str:
    change = after.taken_back.micro - before.taken_back.micro
    if change:
        return "taken_back" if change > 0 else "restored"
    return "unchanged" if _facts(before) == _facts(after) else "followed"


def _facts(payment: Payment) -> dict[str, object]:
    return {
        "refunded_minor": payment.refunded_minor,
        "disputed_minor": payment.disputed_minor,
        "refunded_micro": payment.refunded.micro,
        "disputed_micro": payment.disputed.micro,
    }

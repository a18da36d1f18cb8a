"""The door to money that comes back: refunds and disputes as Stripe has them, and the credits that move for them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from tallybook.domain.errors import BillingError
from tallybook.domain.ids import LedgerId, plain_id
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.requests import Account, Note, Posting
from tallybook.domain.money import Credits, Money
from tallybook.domain.payments.money_back import (
    Dispute,
    Move,
    PaymentLot,
    Refund,
    Report,
    due,
    kept,
    lives_until,
    moves,
    went_back,
)
from tallybook.domain.payments.payments import Payment
from tallybook.postgres import ledger
from tallybook.postgres.pool import Row, Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("money_back")
BY_ADMIN = "admin"
"""The cause of a freeze that an admin asked for; other causes are disputes."""


async def project(tx: Transaction, now: datetime, report: Report) -> None:
    """Write down what Stripe says of a payment intent's refunds and disputes, whoever's it is."""
    for refund in report.refunds:
        await tx.run(
            _SQL.project_refund,
            now=now,
            stripe_refund_id=refund.id,
            stripe_payment_intent_id=report.payment_intent_id,
            amount_minor=refund.amount.minor,
            currency=refund.amount.currency,
            status=refund.status,
            reason=refund.reason,
            failure_reason=refund.failure_reason,
            created_at=refund.created_at,
        )
        if refund.intent_id is not None:
            await tx.run(
                _SQL.found_refund, now=now, refund_intent_id=refund.intent_id, stripe_refund_id=refund.id
            )
    for dispute in report.disputes or ():
        await tx.run(
            _SQL.project_dispute,
            now=now,
            stripe_dispute_id=dispute.id,
            stripe_payment_intent_id=report.payment_intent_id,
            amount_minor=dispute.amount.minor,
            currency=dispute.amount.currency,
            status=dispute.status,
            reason=dispute.reason,
            withdrawn=dispute.withdrawn,
            created_at=dispute.created_at,
        )


async def refunds(tx: Transaction, payment_intent_id: str | None) -> list[Refund]:
    """The refunds of a payment intent as they were last seen, oldest first."""
    if payment_intent_id is None:
        return []
    return [_refund(row) for row in await tx.many(_SQL.refunds, stripe_payment_intent_id=payment_intent_id)]


async def disputes(tx: Transaction, payment_intent_id: str | None) -> list[Dispute]:
    """The disputes of a payment intent as they were last seen, oldest first."""
    if payment_intent_id is None:
        return []
    rows = await tx.many(_SQL.disputes, stripe_payment_intent_id=payment_intent_id)
    return [_dispute(row) for row in rows]


async def of_payment_intents(
    tx: Transaction, payment_intents: Collection[str]
) -> tuple[dict[str, list[Refund]], dict[str, list[Dispute]]]:
    """The refunds and the disputes of some payment intents, as they were last seen, by payment intent."""
    refunds_of: dict[str, list[Refund]] = {}
    disputes_of: dict[str, list[Dispute]] = {}
    for row in await tx.many(_SQL.refunds_of, payment_intents=list(payment_intents)):
        refunds_of.setdefault(row["stripe_payment_intent_id"], []).append(_refund(row))
    for row in await tx.many(_SQL.disputes_of, payment_intents=list(payment_intents)):
        disputes_of.setdefault(row["stripe_payment_intent_id"], []).append(_dispute(row))
    return refunds_of, disputes_of


async def undecided(tx: Transaction) -> list[str]:
    """The payment intents of which a refund is on its way or a dispute open, as far as we know."""
    return [row["stripe_payment_intent_id"] for row in await tx.many(_SQL.undecided)]


async def lots(tx: Transaction, payment: Payment) -> list[PaymentLot]:
    """The lots that a payment brought, oldest first, as they are now."""
    return [
        PaymentLot(
            id=LedgerId(payment.wallet_id, row["lot_version"]),
            credits=Credits(row["credits_micro"]),
            priority=row["priority"],
            expires_at=row["expires_at"],
            reference=row["reference"],
            brought_micro=row["brought_micro"],
            available_micro=row["available_micro"],
            held_micro=row["held_micro"],
            expired_micro=row["expired_micro"],
            taken_micro=row["taken_micro"],
            posted={Account.REFUNDED: row["refunded_micro"], Account.DISPUTED: row["disputed_micro"]},
            posted_at={Account.REFUNDED: row["refunded_at"], Account.DISPUTED: row["disputed_at"]},
        )
        for row in await tx.many(_SQL.lots, payment_id=payment.payment_id)
    ]


async def apply(tx: Transaction, now: datetime, payment: Payment, *, wait: bool, freezes: bool) -> Payment:
    """Take back what is due for the money that went back, or restore what was taken too much; gives the payment then.

    ``payment`` must be locked. Only the difference to what was taken before is posted, so it may be repeated at any
    time. With ``freezes`` the wallet stays frozen while a dispute is open.

    Raises:
        WalletBusyError: another transaction holds the wallet, and ``wait`` is false.
    """
    gave, seen = (
        await refunds(tx, payment.stripe_payment_intent_id),
        await disputes(tx, payment.stripe_payment_intent_id),
    )
    if not gave and not seen:
        return payment
    sums = went_back(payment.paid, gave, seen)
    brought = {lot.id: lot for lot in await lots(tx, payment)}
    after = due(payment.credits, kept(brought.values()), payment.value_minor, sums)
    steps = payment.steps
    for move in moves(list(brought.values()), after):
        steps += 1
        await _step(tx, now, payment, brought[move.lot], move, step=steps, wait=wait)
    await tx.run(
        _SQL.follow,
        now=now,
        payment_id=payment.payment_id,
        refunded_minor=sums.refunded_minor,
        disputed_minor=sums.disputed_minor,
        refunded_micro=after.refunded.micro,
        disputed_micro=after.disputed.micro,
        steps=steps,
    )
    for dispute in seen:
        frozen = freezes and dispute.is_open
        await freeze(tx, now, payment.wallet_id, cause=f"dispute {dispute.id}", frozen=frozen)
    return replace(
        payment,
        refunded_minor=sums.refunded_minor,
        disputed_minor=sums.disputed_minor,
        refunded=after.refunded,
        disputed=after.disputed,
        steps=steps,
    )


async def transfers_since(tx: Transaction, payment: Payment) -> list[LedgerId]:
    """The transfers that were posted for money that went back, since the payment was read."""
    rows = await tx.many(_SQL.transfers_since, payment_id=payment.payment_id, step=payment.steps)
    return [LedgerId(row["wallet_id"], row["transfer_version"]) for row in rows]


async def freeze(tx: Transaction, now: datetime, wallet_id: int, *, cause: str, frozen: bool) -> bool:
    """Freeze a wallet for a cause, or end that cause; says whether that was news."""
    row = await tx.one(_SQL.freeze, now=now, wallet_id=wallet_id, cause=cause, frozen=frozen)
    return bool(row["changed"])


async def freezes(tx: Transaction, wallet_id: int) -> list[tuple[str, datetime]]:
    """Why a wallet is frozen, and since when."""
    return [(row["cause"], row["since"]) for row in await tx.many(_SQL.freezes, wallet_id=wallet_id)]


async def _step(
    tx: Transaction, now: datetime, payment: Payment, lot: PaymentLot, move: Move, *, step: int, wait: bool
) -> None:
    [answer] = await ledger.post(tx, now, [_posting(now, payment, lot, move, step=step)], wait=wait)
    if isinstance(answer, BillingError):
        # Rolled back with everything else, so that a later try can succeed.
        raise answer
    assert not answer.replayed, (payment.payment_id, step)
    await tx.run(
        _SQL.record_step,
        now=now,
        payment_id=payment.payment_id,
        step=step,
        wallet_id=payment.wallet_id,
        lot_version=lot.id.version,
        house=move.house,
        amount_micro=move.micro,
        transfer_version=answer.transfer.version,
    )


def _posting(now: datetime, payment: Payment, lot: PaymentLot, move: Move, *, step: int) -> Posting:
    wire = plain_id("pay", payment.payment_id)
    key = f"stripe:payment:{payment.payment_id}:step:{step}"
    word = "Refund" if move.house is Account.REFUNDED else "Dispute"
    if move.micro > 0:
        note = Note(
            description=f"{word}: {payment.description}", service="stripe", metadata={"payment": wire}
        )
        return recipes.clawback(
            payment.wallet_id, Credits(move.micro), house=move.house, key=key, lot=lot.id, note=note
        )
    taken_at = lot.posted_at[move.house]
    assert taken_at is not None, (payment.payment_id, lot.id)
    end = "failed" if move.house is Account.REFUNDED else "ended well"
    return recipes.restore(
        payment.wallet_id,
        Credits(-move.micro),
        house=move.house,
        key=key,
        priority=lot.priority,
        expires_at=lives_until(now, lot.expires_at, taken_at),
        reference=lot.reference,
        note=Note(
            description=f"{word} {end}: {payment.description}", service="stripe", metadata={"payment": wire}
        ),
    )


def _refund(row: Row) -> Refund:
    return Refund(
        id=row["stripe_refund_id"],
        amount=Money(row["amount_minor"], row["currency"]),
        status=row["status"],
        reason=row["reason"],
        failure_reason=row["failure_reason"],
        created_at=row["created_at"],
    )


def _dispute(row: Row) -> Dispute:
    return Dispute(
        id=row["stripe_dispute_id"],
        amount=Money(row["amount_minor"], row["currency"]),
        status=row["status"],
        reason=row["reason"],
        withdrawn=row["withdrawn"],
        created_at=row["created_at"],
    )

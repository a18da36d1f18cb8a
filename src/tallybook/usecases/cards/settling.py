"""Settles a payment intent of ours: makes our books agree with what Stripe says about it, and grants exactly once.

As for checkouts, the state that decides is fetched from Stripe afresh, outside any transaction, under a lease on the
customer; the effect, the audit line and the event's done-mark commit together, if the lease still stands. Whoever asks
first grants: the webhook, the charge's own answer, a customer who comes back.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from tallybook.domain.errors import BillingError, StripeRefusedError, WalletBusyError
from tallybook.domain.ids import LedgerId, plain_id
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.requests import Note
from tallybook.domain.payments.inbox import EventStatus, Lease
from tallybook.domain.payments.payment_intents import (
    IntentJudgement,
    IntentStatus,
    PaymentIntent,
    PaymentIntentReport,
    judge_intent,
)
from tallybook.domain.payments.payments import Paid, Source
from tallybook.domain.payments.top_ups import ACTION_LIFETIME, TopUpRule, after_failure, gap
from tallybook.postgres import audit, inbox, ledger, payment_intents, payments, top_ups
from tallybook.postgres.fences import Fence, fenced, hold_fence
from tallybook.postgres.pool import Transaction
from tallybook.stripe import cards
from tallybook.stripe.gateway import configured
from tallybook.usecases.context import Context

_log = structlog.get_logger("tallybook.cards")
_ACTOR = ("system", "fulfilment")
_LOOK_AGAIN = timedelta(minutes=15)
"""How long a top-up that waits for its bank or its customer is left alone, if no webhook tells before."""


async def settle(
    ctx: Context, stripe_id: str, *, lease: Lease | None = None
) -> tuple[PaymentIntent, PaymentIntentReport] | None:
    """Make our books agree with Stripe's payment intent; gives both. None if we did not start it: it never grants.

    With ``lease``, that event is marked done in the same transaction.

    Raises:
        FulfilmentBusyError: somebody else settles this customer, or our lease was lost; try again.
        StripeUnavailableError, DatabaseUnavailableError, WalletBusyError: try again.
    """
    async with ctx.db.snapshot() as tx:
        known = await payment_intents.by_stripe_id(tx, stripe_id)
    if known is None:
        return None
    assert known.stripe_customer_id is not None, known.number
    async with fenced(ctx.db, ctx.clock, known.stripe_customer_id) as fence:
        report = await cards.payment_intent(configured(ctx.stripe), stripe_id)
        if report is None:
            raise StripeRefusedError(
                f"Stripe does not know {stripe_id}, which we started: is STRIPE_SECRET_KEY another account's?"
            )
        try:
            settled = await _in_lane(ctx, fence, report, lease, patient=False)
        except WalletBusyError:
            # An app's open transaction on this wallet delays this event, not the others.
            async with ctx.db.turn(known.wallet_id):
                settled = await _in_lane(ctx, fence, report, lease, patient=True)
    _log.info("payment_intent_settled", payment_intent=stripe_id, status=str(settled.status))
    return settled, report


async def _in_lane(
    ctx: Context, fence: Fence, report: PaymentIntentReport, lease: Lease | None, *, patient: bool
) -> PaymentIntent:
    async with ctx.db.transaction(patient=patient) as tx:
        await hold_fence(tx, fence)
        found = await payment_intents.by_stripe_id(tx, report.id, lock=True)
        assert found is not None, report.id
        judgement = judge_intent(found, report, livemode=ctx.livemode)
        granted = await _grant(ctx, tx, found, report, wait=patient) if judgement.grants else None
        moved = judgement.status is not found.status
        if moved or found.source is Source.TOP_UP:
            await payment_intents.followed(
                tx,
                ctx.clock(),
                found,
                judgement,
                failure_code=report.failure_code,
                granted_version=None if granted is None else granted.version,
                look_at=ctx.clock() + _LOOK_AGAIN,
            )
        if moved and found.source is Source.TOP_UP:
            await apply_to_rule(ctx, tx, found, judgement.status, report.failure_code)
        if moved or (lease is not None and judgement.outcome.startswith("mismatch")):
            await _audit(ctx, tx, found, judgement, granted)
        if lease is not None:
            await inbox.settle(tx, ctx.clock(), lease, status=EventStatus.DONE, outcome=judgement.outcome)
        again = await payment_intents.by_number(tx, found.number)
        assert again is not None
        return again


async def _grant(
    ctx: Context, tx: Transaction, found: PaymentIntent, report: PaymentIntentReport, *, wait: bool
) -> LedgerId:
    posting = recipes.purchase(
        found.wallet_id,
        found.credits,
        paid=found.price,
        reference=report.id,
        key=found.grant_key,
        note=Note(
            description=found.description,
            service="stripe",
            metadata={"payment_intent": plain_id("pin", found.number)},
        ),
    )
    [answer] = await ledger.post(tx, ctx.clock(), [posting], wait=wait)
    if isinstance(answer, BillingError):
        # Rolled back with everything else, so that a later try can succeed; nobody's money is lost on the way.
        raise answer
    await payments.record(
        tx,
        ctx.clock(),
        Paid(
            wallet_id=found.wallet_id,
            user_id=found.user_id,
            source=found.source,
            reference=report.id,
            stripe_customer_id=found.stripe_customer_id,
            stripe_payment_intent_id=report.id,
            lookup_key=found.lookup_key,
            description=found.description,
            price=found.price,
            lots=((answer.transfer, found.credits),),
            receipt_url=report.receipt_url,
        ),
        freezes=ctx.freeze_on_dispute,
    )
    return answer.transfer


async def apply_to_rule(
    ctx: Context, tx: Transaction, found: PaymentIntent, status: IntentStatus, code: str | None
) -> None:
    """What the outcome of a top-up means for the wallet's rule, and who hears of it: at once, not with a webhook."""
    now = ctx.clock()
    rule = await top_ups.rule(tx, found.wallet_id, lock=True)
    facts: dict[str, object] = {
        "payment_intent": plain_id("pin", found.number),
        "amount_minor": found.price.minor,
        "currency": found.price.currency,
        "credits_micro": found.credits.micro,
    }
    if status is IntentStatus.SUCCEEDED:
        await top_ups.succeeded(tx, now, found.wallet_id)
        await _told(tx, now, found, "top_up.succeeded", facts)
    elif status is IntentStatus.NEEDS_ACTION:
        facts |= {"complete_url": complete_url(ctx.shop.public_url, found), "expires_at": _expiry(found)}
        await _told(tx, now, found, "top_up.needs_action", facts)
    elif status is IntentStatus.FAILED or await _was_given_up(tx, rule, status):
        facts["failure_code"] = code
        if rule is not None:
            setback = after_failure(rule, code, now)
            await top_ups.set_back(tx, now, found.wallet_id, setback)
            facts |= {"declines": setback.declines, "retries": setback.stopped is None}
            if setback.stopped is not None:
                facts["stopped"] = str(setback.stopped)
        await _told(tx, now, found, "top_up.failed", facts)


async def is_wanted(tx: Transaction, rule: TopUpRule | None) -> bool:
    """Whether a wallet still wants a top-up that has begun: nobody switched it off, and the gap was not closed."""
    if rule is None or not rule.terms.enabled:
        return False
    wallet = await ledger.wallet(tx, rule.wallet_id)
    if wallet.is_frozen or not wallet.owner_is_active:
        return False
    return gap(rule.terms, available_micro=wallet.available_micro, debt_micro=wallet.debt_micro) > 0


async def _was_given_up(tx: Transaction, rule: TopUpRule | None, status: IntentStatus) -> bool:
    """Whether a canceled top-up was still wanted: its customer never came, so the next one has to wait too."""
    return status is IntentStatus.CANCELED and await is_wanted(tx, rule)


def complete_url(public_url: str, found: PaymentIntent) -> str:
    """Our page where a customer sets out to show themselves to their bank for a top-up, and where they come back to."""
    return f"{public_url}/top-ups/{plain_id('pin', found.number)}"


def _expiry(found: PaymentIntent) -> str:
    return (found.created_at + ACTION_LIFETIME).isoformat()


async def _told(
    tx: Transaction, now: datetime, found: PaymentIntent, kind: str, facts: dict[str, object]
) -> None:
    await top_ups.announce(
        tx, now, kind, found.wallet_id, key=f"{kind}:{found.number}:{found.attempt}", facts=facts
    )


async def _audit(
    ctx: Context,
    tx: Transaction,
    before: PaymentIntent,
    judgement: IntentJudgement,
    granted: LedgerId | None,
) -> None:
    after: dict[str, object] = {"status": str(judgement.status), "outcome": judgement.outcome}
    if granted is not None:
        after |= {"transfer": granted.wire("trf"), "amount_micro": before.credits.micro}
    await audit.record(
        tx,
        ctx.clock(),
        _ACTOR,
        "payment_intent.granted" if granted is not None else "payment_intent.followed",
        ("payment_intent", str(before.number)),
        before={"status": str(before.status)},
        after=after,
    )

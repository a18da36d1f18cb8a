"""Moves the credits of an invoice, once: in the transaction of ``settling``, under the lock on the invoice's row."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from tallybook.domain.errors import BillingError, CatalogError
from tallybook.domain.ids import LedgerId, plain_id
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.requests import Note, Posting
from tallybook.domain.money import Credits, Money
from tallybook.domain.payments.invoices import (
    InvoiceReport,
    Part,
    PlanTerms,
    judge_invoice,
    paid_line,
    trial_part,
)
from tallybook.domain.payments.payments import Paid, Source
from tallybook.domain.payments.subscriptions import Subscription
from tallybook.postgres import audit, catalog, ledger, payments, subscription_invoices, subscriptions
from tallybook.postgres.pool import Transaction
from tallybook.usecases.context import Context
from tallybook.usecases.subscriptions import returning

_log = structlog.get_logger("tallybook.subscriptions")
_ACTOR = ("system", "fulfilment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The transaction of an effect; ``wait`` says whether it may wait for the wallet."""

    ctx: Context
    tx: Transaction
    wait: bool


async def plans_sold_at(ctx: Context, tx: Transaction, price_ids: set[str]) -> dict[str, PlanTerms]:
    """Our plans by Stripe price, old prices included.

    Raises:
        CatalogError: one of them was ours, and its plan is not in the catalogue any more.
    """
    found = {}
    for price_id, (lookup_key, price) in (await catalog.sold_at(tx, price_ids)).items():
        product = ctx.catalog.by_lookup_key(lookup_key)
        if product is None:
            raise CatalogError(
                f"plans.{lookup_key}: somebody still pays for it; keep it in the catalogue with enabled = false."
            )
        if product.interval is not None:
            found[price_id] = PlanTerms(
                lookup_key=lookup_key,
                name=product.name,
                credits=product.credits,
                price=price,
                expires=product.credits_expire,
            )
    return found


async def settle(books: Books, subscription: Subscription, report: InvoiceReport, *, own_trial: bool) -> str:
    """What an invoice does to credits; gives the outcome in a word.

    ``own_trial`` says that the user's one trial of the family is this subscription's.
    """
    ctx, tx = books.ctx, books.tx
    now = ctx.clock()
    moved = await subscription_invoices.follow(tx, now, subscription.subscription_id, report)
    prices = {line.price_id for line in report.lines if line.price_id is not None}
    plans = await plans_sold_at(ctx, tx, prices)
    line = paid_line(report, plans)
    if line is not None and line.price_id is not None:
        await subscriptions.paid(
            tx,
            now,
            subscription.subscription_id,
            lookup_key=plans[line.price_id].lookup_key,
            price_id=line.price_id,
            quantity=line.quantity,
            paid_from=line.period_start,
        )
    if moved or await payments.by_reference(tx, report.id) is not None:
        return "already_granted"
    judgement = judge_invoice(report, plans, now)
    outcome = judgement.outcome
    if outcome.startswith("mismatch"):
        # Somebody paid and gets nothing: the reconciler tells people of it, too.
        _log.warning("invoice_mismatch", invoice=report.id, outcome=outcome, currency=report.currency)
    trial = _trial(ctx, report, plans) if own_trial else None
    granted = judgement.granted
    if judgement.parts:
        await _grant(books, subscription, report, judgement.parts)
    elif trial is not None:
        outcome, granted = "trial_granted", trial.credits
        await _grant_trial(books, subscription, report, trial)
    await subscription_invoices.settled(
        tx,
        now,
        report.id,
        outcome=outcome,
        granted=granted,
        owed=judgement.taken_back,
    )
    note = _note(subscription, f"{subscription.product_name}: credited to the customer's balance")
    taken = await returning.settle(ctx, tx, subscription, report, note=note, wait=books.wait)
    if granted.micro or taken.micro:
        await audit.record(
            tx,
            now,
            _ACTOR,
            f"invoice.{outcome}",
            ("subscription", str(subscription.subscription_id)),
            after={"invoice": report.id, "granted_micro": granted.micro, "taken_back_micro": taken.micro},
        )
    return outcome


def _trial(ctx: Context, report: InvoiceReport, plans: dict[str, PlanTerms]) -> Part | None:
    for plan in plans.values():
        product = ctx.catalog.by_lookup_key(plan.lookup_key)
        if product is not None:
            return trial_part(report, plans, product.trial_credits)
    return None


async def _grant(
    books: Books, subscription: Subscription, report: InvoiceReport, parts: tuple[Part, ...]
) -> None:
    """One lot for each part; the money stands at the first if it is the only one."""
    paid = Money(report.amount_paid_minor, report.currency)
    lots = []
    for number, part in enumerate(parts, 1):
        posting = recipes.plan_period(
            subscription.wallet_id,
            part.credits,
            paid=paid if len(parts) == 1 else None,
            reference=report.id,
            key=f"stripe:invoice:{report.id}:grant" + (f":{number}" if number > 1 else ""),
            expires_at=part.expires_at,
            note=_note(subscription, part.name),
        )
        lots.append((await _posted(books, posting), part.credits))
    await _record(books, subscription, report, parts[0], tuple(lots))


async def _grant_trial(books: Books, subscription: Subscription, report: InvoiceReport, part: Part) -> None:
    posting = recipes.trial(
        subscription.wallet_id,
        part.credits,
        reference=report.id,
        key=f"stripe:invoice:{report.id}:trial",
        expires_at=part.expires_at,
        note=_note(subscription, f"Trial of {part.name}"),
    )
    await _record(books, subscription, report, part, ((await _posted(books, posting), part.credits),))


async def _posted(books: Books, posting: Posting) -> LedgerId:
    [answer] = await ledger.post(books.tx, books.ctx.clock(), [posting], wait=books.wait)
    if isinstance(answer, BillingError):
        # Rolled back with everything else, so that a later try can succeed; nobody's money is lost on the way.
        raise answer
    return answer.transfer


async def _record(
    books: Books,
    subscription: Subscription,
    report: InvoiceReport,
    part: Part,
    lots: tuple[tuple[LedgerId, Credits], ...],
) -> None:
    await payments.record(
        books.tx,
        books.ctx.clock(),
        Paid(
            wallet_id=subscription.wallet_id,
            user_id=subscription.user_id,
            source=Source.INVOICE,
            reference=report.id,
            stripe_customer_id=subscription.stripe_customer_id,
            stripe_payment_intent_id=report.payment_intent_id,
            lookup_key=part.lookup_key,
            description=part.name if report.number is None else f"{part.name}, invoice {report.number}",
            price=Money(report.amount_paid_minor, report.currency),
            from_balance_minor=report.from_balance_minor,
            tax_minor=max(0, report.tax_minor),
            lots=lots,
        ),
        freezes=books.ctx.freeze_on_dispute,
    )


def _note(subscription: Subscription, description: str) -> Note:
    reference = plain_id("sbs", subscription.subscription_id)
    return Note(description=description, service="stripe", metadata={"subscription": reference})

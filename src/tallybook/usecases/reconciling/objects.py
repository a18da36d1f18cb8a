"""Compares Stripe's objects with our books: those made in a time, and those that wait in our books whenever they began.

Every object leads to the same comparison whether it was listed or looked at again after its repair.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from tallybook.domain.payments import comparing
from tallybook.domain.payments.invoices import InvoiceReport
from tallybook.domain.payments.money_back import Dispute, Refund
from tallybook.domain.payments.payments import Payment, Source
from tallybook.domain.payments.reconciling import (
    Finding,
    IntentReport,
    Kind,
    Window,
)
from tallybook.domain.payments.reports import SessionReport
from tallybook.domain.payments.subscriptions import SubscriptionReport
from tallybook.postgres import (
    checkouts,
    customers,
    money_back,
    payments,
    subscription_invoices,
    subscriptions,
)
from tallybook.stripe import listings
from tallybook.stripe import money_back as at_stripe
from tallybook.stripe.gateway import StripeGateway, configured
from tallybook.usecases.context import Context
from tallybook.usecases.reconciling import bills

_PAGE = 200
_T = TypeVar("_T")


@dataclass(slots=True)
class Seen:
    """What a run has looked at: these payment intents and references need not be asked for again."""

    intents: set[str] = field(default_factory=set)
    references: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A page of objects of one kind: what differs, and which of them agree."""

    kind: Kind
    findings: list[Finding]
    agreeing: list[str]

    @property
    def objects(self) -> int:
        """How many were compared."""
        return len(self.agreeing) + len({found.object_id for found in self.findings})


async def compare(ctx: Context, window: Window) -> AsyncIterator[Compared]:
    """All objects, kind by kind.

    Raises:
        StripeUnavailableError, StripeRefusedError, DatabaseUnavailableError: try again.
    """
    seen = Seen()
    for kind in (_sessions, _invoices, _subscriptions, _money_back, _intents, _payments):
        async for page in kind(ctx, configured(ctx.stripe), window, seen):
            yield page


async def again(ctx: Context, finding: Finding) -> list[Finding]:
    """Compare the object of a finding once more, as it is right now."""
    stripe, object_id = configured(ctx.stripe), finding.object_id
    if finding.kind is Kind.SESSION:
        session = await stripe.session(object_id)
        return [] if session is None else (await _compare_sessions(ctx, [session], Seen())).findings
    if finding.kind is Kind.INVOICE:
        invoice = await stripe.invoice(object_id)
        return [] if invoice is None else await bills.compare_invoices(ctx, [invoice])
    if finding.kind is Kind.SUBSCRIPTION:
        report = await stripe.subscription(object_id)
        return (await _compare_subscriptions(ctx, {object_id: report})).findings
    if finding.kind is Kind.PAYMENT_INTENT:
        seen = await at_stripe.report(stripe, object_id, disputes=True)
        about = {object_id: (list(seen.refunds), list(seen.disputes or ()))}
        found = (await _compare_money_back(ctx, about)).findings
        return found + (await _compare_intents(ctx, [await listings.intent(stripe, object_id)])).findings
    return [finding]


async def _sessions(
    ctx: Context, stripe: StripeGateway, window: Window, seen: Seen
) -> AsyncIterator[Compared]:
    async for page in listings.sessions(stripe, listings.created(window)):
        yield await _compare_sessions(ctx, page, seen)
    async with ctx.db.snapshot() as tx:
        waiting = await checkouts.unsettled(tx, before=window.until)
    for ids in _batches([one for one in waiting if one not in seen.references]):
        found = await _each(ids, stripe.session)
        yield await _compare_sessions(ctx, [one for one in found.values() if one is not None], seen)


async def _compare_sessions(ctx: Context, page: Sequence[SessionReport], seen: Seen) -> Compared:
    ids = [report.id for report in page]
    async with ctx.db.snapshot() as tx:
        known = await checkouts.by_sessions(tx, ids)
        paid = await payments.by_references(tx, ids)
    seen.references.update(ids)
    seen.intents.update(one.payment_intent_id for one in page if one.payment_intent_id is not None)
    found = {}
    for report in page:
        one = comparing.compare_session(
            report, known.get(report.id), paid.get(report.id), livemode=ctx.livemode
        )
        found[report.id] = [one] if one else []
    return compared(Kind.SESSION, found)


async def _invoices(
    ctx: Context, stripe: StripeGateway, window: Window, seen: Seen
) -> AsyncIterator[Compared]:
    async for page in listings.invoices(stripe, listings.created(window)):
        yield await _compare_invoices(ctx, page, seen)
    # One that failed at first is paid days after it was made.
    async with ctx.db.snapshot() as tx:
        waiting = await subscription_invoices.unsettled(tx, before=window.until)
    for ids in _batches([one for one in waiting if one not in seen.references]):
        found = await _each(ids, stripe.invoice)
        yield await _compare_invoices(ctx, [one for one in found.values() if one is not None], seen)


async def _compare_invoices(ctx: Context, page: Sequence[InvoiceReport], seen: Seen) -> Compared:
    seen.references.update(report.id for report in page)
    seen.intents.update(one.payment_intent_id for one in page if one.payment_intent_id is not None)
    findings = await bills.compare_invoices(ctx, page)
    return compared(Kind.INVOICE, {one.id: [f for f in findings if f.object_id == one.id] for one in page})


async def _subscriptions(
    ctx: Context, stripe: StripeGateway, window: Window, _: Seen
) -> AsyncIterator[Compared]:
    """Those that have not ended, whenever they began; of those that have, the ones of the time and those we know."""
    listed: set[str] = set()
    for wanted in ({}, {"status": "canceled", **listings.created(window)}):
        async for page in listings.subscriptions(stripe, wanted):
            fresh = [one for one in page if one.id not in listed and one.created < window.until]
            listed.update(one.id for one in fresh)
            yield await _compare_subscriptions(ctx, {one.id: one for one in fresh}, since=window)
    async with ctx.db.snapshot() as tx:
        living = await subscriptions.living(tx)
    for ids in _batches([one for one in living if one not in listed]):
        yield await _compare_subscriptions(ctx, await _each(ids, stripe.subscription))


async def _compare_subscriptions(
    ctx: Context, page: dict[str, SubscriptionReport | None], *, since: Window | None = None
) -> Compared:
    reports = [report for report in page.values() if report is not None]
    async with ctx.db.snapshot() as tx:
        known = await subscriptions.by_stripe_ids(tx, page)
        users = await customers.users_of(tx, {report.customer_id for report in reports})
        plans = await bills.plans_sold_at(ctx, tx, {report.price_id for report in reports})
    found = {}
    for stripe_id, report in page.items():
        is_ours = report is not None and report.customer_id in users and report.price_id in plans
        is_news = report is not None and (since is None or report.created >= since.since)
        if stripe_id not in known and not is_ours and not is_news:
            # What others sell on this account is told of once.
            continue
        one = comparing.compare_subscription(
            stripe_id,
            report,
            known.get(stripe_id),
            user_id=None if report is None else users.get(report.customer_id),
            is_a_plan=report is not None and report.price_id in plans,
        )
        found[stripe_id] = [one] if one else []
    return compared(Kind.SUBSCRIPTION, found)


_Back = dict[str, tuple[list[Refund], list[Dispute]]]


async def _money_back(
    ctx: Context, stripe: StripeGateway, window: Window, _: Seen
) -> AsyncIterator[Compared]:
    """What was given back or disputed in the time, and what was undecided as far as we know."""
    back: _Back = {}
    async for given in listings.refunds(stripe, listings.created(window)):
        for intent, refund in given:
            back.setdefault(intent, ([], []))[0].append(refund)
    async for disputed in listings.disputes(stripe, listings.created(window)):
        for intent, dispute in disputed:
            back.setdefault(intent, ([], []))[1].append(dispute)
    async with ctx.db.snapshot() as tx:
        undecided = await money_back.undecided(tx)
    for intent in undecided:
        report = await at_stripe.report(stripe, intent, disputes=True)
        back[intent] = (list(report.refunds), list(report.disputes or ()))
    for ids in _batches(back):
        yield await _compare_money_back(ctx, {intent: back[intent] for intent in ids})


async def _compare_money_back(ctx: Context, back: _Back) -> Compared:
    async with ctx.db.snapshot() as tx:
        paid = await payments.by_payment_intents(tx, back)
        refunds, disputes = await money_back.of_payment_intents(tx, back)
    return compared(
        Kind.PAYMENT_INTENT,
        {
            intent: comparing.compare_money_back(
                intent, paid.get(intent), (refunds.get(intent, []), disputes.get(intent, [])), seen
            )
            for intent, seen in back.items()
        },
    )


async def _intents(
    ctx: Context, stripe: StripeGateway, window: Window, seen: Seen
) -> AsyncIterator[Compared]:
    async for page in listings.intents(stripe, window):
        yield await _compare_intents(ctx, [one for one in page if one.id not in seen.intents])
        seen.references.update(one.id for one in page)


async def _compare_intents(ctx: Context, page: Sequence[IntentReport]) -> Compared:
    async with ctx.db.snapshot() as tx:
        paid = await payments.by_payment_intents(tx, [report.id for report in page])
        account = await customers.account(tx)
    deployment = None if account is None else str(account.deployment_id)
    found = {}
    for report in page:
        one = comparing.compare_intent(report, paid.get(report.id), deployment=deployment)
        found[report.id] = [one] if one else []
    return compared(Kind.PAYMENT_INTENT, found)


async def _payments(
    ctx: Context, stripe: StripeGateway, window: Window, seen: Seen
) -> AsyncIterator[Compared]:
    """From our side: what was booked in the time, and was not among what Stripe listed."""
    after = 0
    while True:
        async with ctx.db.snapshot() as tx:
            page = await payments.paid_within(
                tx, since=window.since, until=window.until, after=after, limit=_PAGE
            )
        for payment in page:
            # What was imported came from Stripe as it was then.
            if payment.reference not in seen.references and payment.source is not Source.IMPORT:
                yield await _compare_payment(ctx, stripe, payment)
        if len(page) < _PAGE:
            return
        after = page[-1].payment_id


async def _compare_payment(ctx: Context, stripe: StripeGateway, payment: Payment) -> Compared:
    reference = payment.reference
    if reference.startswith("cs_"):
        session = await stripe.session(reference)
        if session is not None:
            return await _compare_sessions(ctx, [session], Seen())
        return compared(Kind.SESSION, {reference: [comparing.missing_at_stripe(payment, Kind.SESSION)]})
    if reference.startswith("in_"):
        invoice = await stripe.invoice(reference)
        found = (
            [comparing.missing_at_stripe(payment, Kind.INVOICE)]
            if invoice is None
            else await bills.compare_invoices(ctx, [invoice])
        )
        return compared(Kind.INVOICE, {reference: found})
    return await _compare_intents(ctx, [await listings.intent(stripe, reference)])


def compared(kind: Kind, found: dict[str, list[Finding]]) -> Compared:
    """What was compared, by object: what differs of each."""
    return Compared(
        kind=kind,
        findings=[finding for findings in found.values() for finding in findings],
        agreeing=[object_id for object_id, findings in found.items() if not findings],
    )


def _batches(ids: Iterable[str]) -> Iterator[list[str]]:
    every = list(ids)
    for start in range(0, len(every), _PAGE):
        yield every[start : start + _PAGE]


async def _each(ids: Sequence[str], ask: Callable[[str], Awaitable[_T | None]]) -> dict[str, _T | None]:
    return {one: await ask(one) for one in ids}

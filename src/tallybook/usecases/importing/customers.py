"""Makes a Stripe customer a user of ours with all that was paid before, in one transaction; again adds nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tallybook.domain.errors import (
    UserNotFoundError,
)
from tallybook.domain.identity.people import Role, clean_email
from tallybook.domain.money import Credits
from tallybook.domain.payments.importing import (
    NOTHING,
    CustomerReport,
    Imported,
    PastPayment,
    conflict_of,
)
from tallybook.domain.payments.money_back import Report
from tallybook.postgres import (
    audit,
    checkouts,
    customers,
    identity,
    ledger,
    money_back,
    payments,
)
from tallybook.postgres.pool import Transaction
from tallybook.stripe import money_back as at_stripe
from tallybook.stripe.gateway import configured
from tallybook.usecases.context import Context
from tallybook.usecases.importing import booking, history
from tallybook.usecases.importing.orders import Order

_SECRET_LENGTH = 64


async def take(ctx: Context, order: Order, report: CustomerReport) -> Imported:
    """Import one customer, or say what would become of it; its subscriptions are left to be settled.

    What was paid since the customer became ours is left to webhooks and the reconciler.

    Raises:
        StripeUnavailableError, StripeRefusedError, DatabaseUnavailableError: try again.
    """
    if report.livemode != ctx.livemode:
        return Imported(customer_id=report.id, email=report.email, outcome="conflict", conflicts=("mode",))
    async with ctx.db.snapshot() as tx:
        found = await _who(tx, order, report)
    past = history.Past()
    if not found.conflicts:
        past = await history.past_of(ctx, configured(ctx.stripe), report.id, order.options)
    reports = [
        await at_stripe.report(configured(ctx.stripe), one.payment_intent_id, disputes=True)
        for one in past.payments.values()
        if one.gone_back and one.payment_intent_id is not None
    ]
    found = replace(
        found,
        subscriptions=tuple(past.subscriptions),
        unknown_prices=tuple(sorted(past.unknown_prices)),
    )
    if not order.applies:
        async with ctx.db.snapshot() as tx:
            return await _previewed(tx, order, report, found, past)
    async with ctx.db.transaction(patient=True) as tx:
        if not found.conflicts:
            found = await _apply(ctx, tx, order, found, _Read(customer=report, past=past, back=reports))
    return found


async def _who(tx: Transaction, order: Order, report: CustomerReport) -> Imported:
    """Who a customer is or becomes."""
    made = Imported(customer_id=report.id, email=report.email, outcome="conflict")
    linked = await customers.linked(tx, report.id)
    if linked is not None:
        return replace(made, outcome="known", user_id=linked[0])
    conflict = conflict_of(report, order.shared, order.options)
    if conflict is not None:
        return replace(made, conflicts=(conflict,))
    assert report.email is not None
    try:
        user = await identity.user_by_email(tx, report.email)
    except UserNotFoundError:
        return replace(made, outcome="created")
    if await customers.of_user(tx, user.user_id) is not None:
        return replace(made, conflicts=("user_has_customer",))
    if not user.is_active:
        return replace(made, conflicts=("user_inactive",))
    # Who signed up with an address has not proved that it is theirs.
    if not order.options.links_existing:
        return replace(made, conflicts=("user_exists",))
    return replace(made, outcome="linked", user_id=user.user_id)


async def _new(tx: Transaction, report: CustomerReport, past: history.Past) -> list[PastPayment]:
    """What is not in our books: neither a payment there nor a checkout of our own, nor newer than the link."""
    linked = await customers.linked(tx, report.id)
    until = None if linked is None else linked[1]
    booked = await payments.by_references(tx, past.payments)
    intents = {one.payment_intent_id for one in past.payments.values() if one.payment_intent_id is not None}
    carried = await payments.by_payment_intents(tx, intents)
    opened = await checkouts.by_sessions(tx, past.payments)
    return [
        one
        for one in sorted(past.payments.values(), key=lambda one: (one.paid_at, one.reference))
        if one.reference not in booked
        and one.reference not in opened
        and one.payment_intent_id not in carried
        and (until is None or one.paid_at < until)
    ]


async def _previewed(
    tx: Transaction, order: Order, report: CustomerReport, found: Imported, past: history.Past
) -> Imported:
    fresh = [] if found.conflicts else await _new(tx, report, past)
    opening, conflicts = booking.opening_of(report, order.options)
    return replace(
        found,
        payments=len(fresh),
        granted=_sum(fresh),
        opening=NOTHING if found.conflicts else opening or NOTHING,
        conflicts=(*found.conflicts, *conflicts),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What was read at Stripe: the customer, what was paid, and what went back of that."""

    customer: CustomerReport
    past: history.Past
    back: list[Report]


async def _apply(ctx: Context, tx: Transaction, order: Order, found: Imported, read: _Read) -> Imported:
    now, report = ctx.clock(), read.customer
    fresh = await _new(tx, report, read.past)
    user_id = found.user_id
    if user_id is None:
        assert report.email is not None
        user = await identity.add_user(
            tx,
            now,
            email=clean_email(report.email),
            password_hash=order.password_hash,
            role=Role.CUSTOMER,
        )
        user_id = user.user_id
    wallet_id = await ledger.open_wallet(tx, now, user_id=user_id)
    if found.outcome != "known":
        customer = await customers.intend_customer(tx, now, user_id=user_id)
        kept = await customers.keep_customer(tx, now, customer, stripe_customer_id=report.id)
        if kept.stripe_customer_id != report.id:
            return replace(found, outcome="conflict", conflicts=("user_has_customer",))
    for one in read.back:
        await money_back.project(tx, now, one)
    for payment in fresh:
        await booking.record(ctx, tx, report, payment, (user_id, wallet_id))
    opening, conflicts = await booking.opened(ctx, tx, order.options, report, wallet_id)
    done = replace(
        found,
        user_id=user_id,
        payments=len(fresh),
        granted=_sum(fresh),
        opening=opening,
        conflicts=conflicts,
    )
    if found.outcome != "known" or fresh or opening.micro:
        facts = {
            "customer": report.id,
            "payments": len(fresh),
            "granted_micro": done.granted.micro,
            "opening_micro": opening.micro,
        }
        subject = ("user", str(user_id))
        await audit.record(tx, now, order.caller.actor, f"customer.{found.outcome}", subject, after=facts)
    return done


def _sum(fresh: list[PastPayment]) -> Credits:
    return Credits(sum(part.credits.micro for payment in fresh for part in payment.parts))

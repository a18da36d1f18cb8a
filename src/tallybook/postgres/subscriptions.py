"""The door to subscriptions: the attempt, and what Stripe says became of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from tallybook.domain.money import Money
from tallybook.domain.payments.subscriptions import (
    Subscription,
    SubscriptionReport,
    SubscriptionStatus,
    Terms,
)
from tallybook.postgres.pool import Row, Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("subscriptions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is subscribed to, as it is written down; ``price`` is what one costs for each period."""

    plan_family: str
    lookup_key: str
    product_name: str
    stripe_price_id: str
    price: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Coming:
    """The plan that a schedule brings with the next period; ``price`` is what one will cost."""

    lookup_key: str
    price: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What is written down before Stripe is asked."""

    wallet_id: int
    app_id: int
    key: str | None
    terms: Terms
    checkout_id: int | None
    plan: Plan
    trial_days: int | None
    promotion_code_id: str | None = None


async def intend(tx: Transaction, now: datetime, attempt: Attempt) -> int | None:
    """Write the attempt down; None when its key was used before, or something else holds the family's place."""
    plan = attempt.plan
    row = await tx.maybe(
        _SQL.intend,
        now=now,
        user_id=attempt.terms.user_id,
        wallet_id=attempt.wallet_id,
        app_id=attempt.app_id,
        key=attempt.key,
        terms=attempt.terms.digest(),
        checkout_id=attempt.checkout_id,
        plan_family=plan.plan_family,
        stripe_price_id=plan.stripe_price_id,
        lookup_key=plan.lookup_key,
        product_name=plan.product_name,
        quantity=attempt.terms.quantity,
        amount_minor=plan.price.minor,
        currency=plan.price.currency,
        trial_days=attempt.trial_days,
        stripe_promotion_code_id=attempt.promotion_code_id,
    )
    return None if row is None else int(row["subscription_id"])


async def adopt(
    tx: Transaction, now: datetime, report: SubscriptionReport, plan: Plan, *, user_id: int, wallet_id: int
) -> Subscription:
    """Write a subscription of our customer down that began elsewhere; gives the one that stands."""
    await tx.maybe(
        _SQL.adopt,
        now=now,
        user_id=user_id,
        wallet_id=wallet_id,
        plan_family=plan.plan_family,
        stripe_customer_id=report.customer_id,
        stripe_subscription_id=report.id,
        stripe_price_id=plan.stripe_price_id,
        lookup_key=plan.lookup_key,
        product_name=plan.product_name,
        quantity=report.quantity,
        amount_minor=plan.price.minor,
        currency=plan.price.currency,
    )
    found = await by_stripe_id(tx, report.id)
    assert found is not None, report.id
    return found


async def by_id(tx: Transaction, subscription_id: int, *, lock: bool = False) -> Subscription | None:
    """A subscription by its number; with ``lock``, nobody changes it until the transaction ends."""
    statement = _SQL.lock_by_id if lock else _SQL.by_id
    return _maybe(await tx.maybe(statement, subscription_id=subscription_id))


async def by_stripe_id(tx: Transaction, stripe_subscription_id: str) -> Subscription | None:
    """A subscription by Stripe's id."""
    return _maybe(await tx.maybe(_SQL.by_stripe_id, stripe_subscription_id=stripe_subscription_id))


async def by_key(tx: Transaction, *, user_id: int, app_id: int, key: str) -> Subscription | None:
    """A subscription by the key it was asked for with."""
    return _maybe(await tx.maybe(_SQL.by_key, user_id=user_id, app_id=app_id, key=key))


async def by_checkout(tx: Transaction, checkout_id: int) -> Subscription | None:
    """The attempt that a checkout is for."""
    return _maybe(await tx.maybe(_SQL.by_checkout, checkout_id=checkout_id))


async def by_session(tx: Transaction, stripe_session_id: str) -> Subscription | None:
    """The attempt whose checkout opened a session."""
    return _maybe(await tx.maybe(_SQL.by_session, stripe_session_id=stripe_session_id))


async def by_stripe_ids(tx: Transaction, stripe_subscription_ids: Collection[str]) -> dict[str, Subscription]:
    """Subscriptions by Stripe's ids."""
    rows = await tx.many(_SQL.by_stripe_ids, stripe_subscription_ids=list(stripe_subscription_ids))
    return {row["stripe_subscription_id"]: _read(row) for row in rows}


async def living(tx: Transaction) -> list[str]:
    """Stripe's ids of the subscriptions that have not ended in our books."""
    return [row["stripe_subscription_id"] for row in await tx.many(_SQL.living)]


async def holder(tx: Transaction, *, user_id: int, plan_family: str) -> Subscription | None:
    """What keeps a user from beginning another plan of this family."""
    return _maybe(await tx.maybe(_SQL.holder, user_id=user_id, plan_family=plan_family))


async def of_user(tx: Transaction, user_id: int) -> list[Subscription]:
    """The subscriptions of a user that ever were at Stripe, newest first."""
    return [_read(row) for row in await tx.many(_SQL.of_user, user_id=user_id)]


async def newest(tx: Transaction, *, status: SubscriptionStatus | None, limit: int) -> list[Subscription]:
    """The newest subscriptions of everybody."""
    rows = await tx.many(_SQL.newest, status=None if status is None else str(status), limit=limit)
    return [_read(row) for row in rows]


async def user_of_customer(tx: Transaction, stripe_customer_id: str) -> int | None:
    """Whose Stripe customer this is."""
    row = await tx.maybe(_SQL.user_of_customer, stripe_customer_id=stripe_customer_id)
    return None if row is None else int(row["user_id"])


async def opened(tx: Transaction, now: datetime, subscription_id: int, *, stripe_customer_id: str) -> bool:
    """The attempt's checkout is open at Stripe; False when the attempt was given up meanwhile."""
    row = await tx.maybe(
        _SQL.opened, now=now, subscription_id=subscription_id, stripe_customer_id=stripe_customer_id
    )
    return row is not None


async def began(
    tx: Transaction,
    now: datetime,
    subscription_id: int,
    *,
    stripe_subscription_id: str,
    stripe_customer_id: str,
) -> bool:
    """The attempt became a subscription at Stripe; False when it was given up, or began, meanwhile."""
    row = await tx.maybe(
        _SQL.began,
        now=now,
        subscription_id=subscription_id,
        stripe_subscription_id=stripe_subscription_id,
        stripe_customer_id=stripe_customer_id,
    )
    return row is not None


async def abandon(tx: Transaction, now: datetime, subscription_id: int, *, unopened: bool = False) -> None:
    """Give an attempt up that never became a subscription; with ``unopened``, only if nothing was opened for it yet."""
    await tx.run(_SQL.abandon, now=now, subscription_id=subscription_id, unopened=unopened)


async def next_attempt(tx: Transaction, now: datetime, found: Subscription) -> None:
    """The call ended for good without a subscription: the next one gets an idempotency key of its own."""
    await tx.run(_SQL.next_attempt, now=now, subscription_id=found.subscription_id, attempt=found.attempt)


async def follow(
    tx: Transaction,
    now: datetime,
    subscription_id: int,
    report: SubscriptionReport,
    *,
    plan: Plan,
    coming: Coming | None,
) -> None:
    """Write down what Stripe says; a subscription that has ended never lives again."""
    await tx.run(
        _SQL.follow,
        now=now,
        subscription_id=subscription_id,
        status=str(report.status),
        lives=not report.status.has_ended,
        stripe_item_id=report.item_id,
        stripe_price_id=plan.stripe_price_id,
        lookup_key=plan.lookup_key,
        product_name=plan.product_name,
        quantity=report.quantity,
        amount_minor=plan.price.minor,
        currency=plan.price.currency,
        current_period_start=report.period_start,
        current_period_end=report.period_end,
        trial_end=report.trial_end,
        cancel_at_period_end=report.cancel_at_period_end,
        cancel_at=report.cancel_at,
        canceled_at=report.canceled_at,
        ended_at=report.ended_at,
        collection_paused=report.collection_paused,
        resumes_at=report.resumes_at,
        latest_invoice_id=report.latest_invoice_id,
        stripe_schedule_id=report.schedule_id,
        next_lookup_key=None if coming is None else coming.lookup_key,
        next_price_id=report.next_price_id,
        next_quantity=report.next_quantity,
        next_amount_minor=None if coming is None else coming.price.minor,
    )


async def paid(
    tx: Transaction,
    now: datetime,
    subscription_id: int,
    *,
    lookup_key: str,
    price_id: str,
    quantity: int,
    paid_from: datetime,
) -> None:
    """Write down what the newest period was paid for; what is known of a newer one stays."""
    await tx.run(
        _SQL.paid,
        now=now,
        subscription_id=subscription_id,
        lookup_key=lookup_key,
        price_id=price_id,
        quantity=quantity,
        paid_from=paid_from,
    )


async def had_trial(tx: Transaction, *, user_id: int, plan_family: str) -> bool:
    """Whether a user has had their trial of a family."""
    return await tx.maybe(_SQL.had_trial, user_id=user_id, plan_family=plan_family) is not None


async def used_code(tx: Transaction, *, user_id: int, promotion_code_id: str) -> bool:
    """Whether a subscription of a user began with a promotion code."""
    row = await tx.one(_SQL.used_code, user_id=user_id, promotion_code_id=promotion_code_id)
    return bool(row["used"])


async def begin_trial(tx: Transaction, now: datetime, found: Subscription) -> bool:
    """The user's one trial of the family is this subscription's; False if it was another one's before."""
    who = {
        "user_id": found.user_id,
        "plan_family": found.plan_family,
        "subscription_id": found.subscription_id,
    }
    await tx.maybe(_SQL.begin_trial, now=now, **who)
    return await tx.maybe(_SQL.trial_of, **who) is not None


def _maybe(row: Row | None) -> Subscription | None:
    return None if row is None else _read(row)


_COLUMNS = [name for name in Subscription.__slots__ if name not in ("status", "price")]


def _read(row: Row) -> Subscription:
    return Subscription(
        **{name: row[name] for name in _COLUMNS},
        status=SubscriptionStatus(row["status"]),
        price=Money(row["amount_minor"], row["currency"]),
    )

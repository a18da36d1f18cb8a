"""The door to payment intents that we start: the intent, what it became at Stripe, what was reported about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tallybook.domain.money import Credits, Money
from tallybook.domain.payments.payment_intents import (
    IntentJudgement,
    IntentStatus,
    IntentTerms,
    PaymentIntent,
)
from tallybook.domain.payments.payments import Source
from tallybook.postgres import ledger
from tallybook.postgres.pool import Row, Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("payment_intents")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is written down before Stripe is asked; ``price`` and ``credits`` are for the whole quantity."""

    source: Source
    wallet_id: int
    app_id: int
    key: str | None
    terms: IntentTerms
    description: str
    credits: Credits
    price: Money
    look_at: datetime


async def intend(tx: Transaction, now: datetime, draft: Draft) -> PaymentIntent | None:
    """Write it down; None when the key was used before, or when the wallet has a top-up in flight."""
    return _maybe(
        await tx.maybe(
            _SQL.intend,
            now=now,
            source=str(draft.source),
            user_id=draft.terms.user_id,
            wallet_id=draft.wallet_id,
            app_id=draft.app_id,
            key=draft.key,
            terms=draft.terms.digest(),
            lookup_key=draft.terms.lookup_key,
            quantity=draft.terms.quantity,
            description=draft.description,
            credits_micro=draft.credits.micro,
            amount_minor=draft.price.minor,
            currency=draft.price.currency,
            saves_method=draft.terms.saves_method,
            look_at=draft.look_at,
        )
    )


async def by_number(tx: Transaction, number: int, *, lock: bool = False) -> PaymentIntent | None:
    """A payment intent by our number; with ``lock``, nobody changes it until the transaction ends."""
    return _maybe(await tx.maybe(_SQL.lock_by_number if lock else _SQL.by_number, number=number))


async def by_key(tx: Transaction, *, user_id: int, app_id: int, key: str) -> PaymentIntent | None:
    """A payment intent by the key it was asked for with."""
    return _maybe(await tx.maybe(_SQL.by_key, user_id=user_id, app_id=app_id, key=key))


async def by_stripe_id(tx: Transaction, stripe_id: str, *, lock: bool = False) -> PaymentIntent | None:
    """The one of ours that is this payment intent at Stripe."""
    statement = _SQL.lock_by_stripe_id if lock else _SQL.by_stripe_id
    return _maybe(await tx.maybe(statement, stripe_id=stripe_id))


async def bind(
    tx: Transaction, now: datetime, found: PaymentIntent, *, customer_id: str, method_id: str
) -> PaymentIntent:
    """Keep whom and what a top-up charges, unless another try did; gives back what stands."""
    await tx.run(
        _SQL.bind,
        now=now,
        number=found.number,
        stripe_customer_id=customer_id,
        stripe_payment_method_id=method_id,
    )
    return await _again(tx, found)


async def opened(
    tx: Transaction,
    now: datetime,
    found: PaymentIntent,
    *,
    stripe_id: str,
    customer_id: str,
    livemode: bool,
) -> PaymentIntent:
    """Keep what it became at Stripe, unless another try did, and claim it for the wallet; gives back what stands."""
    await tx.run(
        _SQL.opened, now=now, number=found.number, stripe_id=stripe_id, stripe_customer_id=customer_id
    )
    again = await _again(tx, found)
    assert again.stripe_id is not None
    holder = await ledger.claim(
        tx,
        now,
        livemode=livemode,
        object_kind="payment_intent",
        object_id=again.stripe_id,
        wallet_id=again.wallet_id,
    )
    assert holder == again.wallet_id, (again.stripe_id, holder)
    return again


async def next_attempt(tx: Transaction, now: datetime, found: PaymentIntent) -> PaymentIntent:
    """The attempt ended for good without a payment intent; gives back what stands."""
    await tx.run(_SQL.next_attempt, now=now, number=found.number, attempt=found.attempt)
    return await _again(tx, found)


async def followed(
    tx: Transaction,
    now: datetime,
    found: PaymentIntent,
    judgement: IntentJudgement,
    *,
    failure_code: str | None,
    granted_version: int | None,
    look_at: datetime,
) -> None:
    """Write down what Stripe reported; ``granted_version`` is the transfer of the grant, if there was one."""
    await tx.run(
        _SQL.followed,
        now=now,
        number=found.number,
        status=str(judgement.status),
        failure_code=failure_code,
        granted_version=granted_version,
        look_at=look_at,
    )


async def take_up(tx: Transaction, now: datetime, *, until: datetime, limit: int) -> list[PaymentIntent]:
    """Top-ups whose outcome is not known and that nobody works on: nobody else takes them before ``until``."""
    rows = await tx.many(_SQL.take_up, now=now, until=until, limit=limit)
    return [_intent(row) for row in rows]


async def charged_since(tx: Transaction, wallet_id: int, currency: str, since: datetime) -> Money:
    """What top-ups of a wallet have charged, or may still charge, since a time."""
    row = await tx.one(_SQL.charged_since, wallet_id=wallet_id, currency=currency, since=since)
    return Money(row["amount_minor"], currency)


async def page(
    tx: Transaction, wallet_id: int, *, source: Source | None, before: int, limit: int
) -> list[PaymentIntent]:
    """A page of a wallet's payment intents, newest first."""
    rows = await tx.many(
        _SQL.page,
        wallet_id=wallet_id,
        source=None if source is None else str(source),
        before=before,
        limit=limit,
    )
    return [_intent(row) for row in rows]


async def _again(tx: Transaction, found: PaymentIntent) -> PaymentIntent:
    again = await by_number(tx, found.number)
    assert again is not None
    return again


def _maybe(row: Row | None) -> PaymentIntent | None:
    return None if row is None else _intent(row)


def _intent(row: Row) -> PaymentIntent:
    return PaymentIntent(
        number=row["number"],
        intent_id=row["intent_id"],
        source=Source(row["source"]),
        user_id=row["user_id"],
        wallet_id=row["wallet_id"],
        app_id=row["app_id"],
        terms=row["terms"],
        lookup_key=row["lookup_key"],
        quantity=row["quantity"],
        description=row["description"],
        credits=Credits(row["credits_micro"]),
        price=Money(row["amount_minor"], row["currency"]),
        saves_method=row["saves_method"],
        status=IntentStatus(row["status"]),
        attempt=row["attempt"],
        stripe_id=row["stripe_id"],
        stripe_customer_id=row["stripe_customer_id"],
        stripe_payment_method_id=row["stripe_payment_method_id"],
        failure_code=row["failure_code"],
        granted_version=row["granted_version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )

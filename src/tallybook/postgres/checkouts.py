"""The door to checkouts: the intent, the session it became, and what was reported about it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from tallybook.domain.money import Credits, Money
from tallybook.domain.payments.checkouts import Checkout, Judgement, Status, Terms
from tallybook.domain.payments.reports import SessionReport
from tallybook.postgres.pool import Row, Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("checkouts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What is written down before Stripe is asked; ``price`` and ``credits`` are for the whole quantity."""

    wallet_id: int
    app_id: int
    key: str | None
    terms: Terms
    product_name: str
    stripe_price_id: str
    credits: Credits
    price: Money


async def intend(tx: Transaction, now: datetime, intent: Intent) -> int | None:
    """Write the intent down; gives its number, or None when the key was used before."""
    row = await tx.maybe(
        _SQL.intend,
        now=now,
        user_id=intent.terms.user_id,
        wallet_id=intent.wallet_id,
        app_id=intent.app_id,
        key=intent.key,
        terms=intent.terms.digest(),
        mode=intent.terms.mode,
        lookup_key=intent.terms.lookup_key,
        product_name=intent.product_name,
        stripe_price_id=intent.stripe_price_id,
        quantity=intent.terms.quantity,
        credits_micro=intent.credits.micro,
        amount_minor=intent.price.minor,
        currency=intent.price.currency,
        success_url=intent.terms.success_url,
        cancel_url=intent.terms.cancel_url,
    )
    return None if row is None else int(row["checkout_id"])


async def by_id(tx: Transaction, checkout_id: int) -> Checkout | None:
    """A checkout by its number."""
    return _maybe(await tx.maybe(_SQL.by_id, checkout_id=checkout_id))


async def by_key(tx: Transaction, *, user_id: int, app_id: int, key: str) -> Checkout | None:
    """A checkout by the key it was asked for with."""
    return _maybe(await tx.maybe(_SQL.by_key, user_id=user_id, app_id=app_id, key=key))


async def by_session(tx: Transaction, stripe_session_id: str, *, lock: bool = False) -> Checkout | None:
    """The checkout that opened a Stripe session; with ``lock``, nobody changes it until the transaction ends."""
    statement = _SQL.lock_by_session if lock else _SQL.by_session
    return _maybe(await tx.maybe(statement, stripe_session_id=stripe_session_id))


async def opened(
    tx: Transaction, now: datetime, *, checkout_id: int, report: SessionReport, stripe_customer_id: str
) -> Checkout:
    """Keep the session that the intent became, unless another request did first; gives the checkout back.

    ``stripe_customer_id`` is whom it was opened for.
    """
    await tx.run(
        _SQL.opened,
        now=now,
        checkout_id=checkout_id,
        stripe_session_id=report.id,
        stripe_customer_id=stripe_customer_id,
        url=report.url,
        expires_at=report.expires_at,
    )
    found = await by_id(tx, checkout_id)
    assert found is not None
    return found


async def next_attempt(tx: Transaction, now: datetime, checkout: Checkout) -> None:
    """The attempt ended for good without a session: the next one gets an idempotency key of its own."""
    await tx.run(_SQL.next_attempt, now=now, checkout_id=checkout.checkout_id, attempt=checkout.attempt)


async def followed(
    tx: Transaction,
    now: datetime,
    *,
    checkout_id: int,
    judgement: Judgement,
    report: SessionReport,
    granted_version: int | None,
) -> None:
    """Write down what Stripe reported; ``granted_version`` is the transfer of the grant, if there was one."""
    await tx.run(
        _SQL.followed,
        now=now,
        checkout_id=checkout_id,
        status=str(judgement.status),
        payment_intent_id=report.payment_intent_id,
        payment_status=report.payment_status,
        session_metadata=dict(report.metadata),
        paid_minor=report.amount_total if judgement.grants else None,
        granted_version=granted_version,
    )


async def by_sessions(tx: Transaction, stripe_session_ids: Collection[str]) -> dict[str, Checkout]:
    """The checkouts that opened some Stripe sessions, by session."""
    rows = await tx.many(_SQL.by_sessions, stripe_session_ids=list(stripe_session_ids))
    return {row["stripe_session_id"]: found for row in rows if (found := _maybe(row)) is not None}


async def unsettled(tx: Transaction, *, before: datetime) -> list[str]:
    """The sessions of checkouts from before a moment that wait for their customer or their payment."""
    return [row["stripe_session_id"] for row in await tx.many(_SQL.unsettled, before=before)]


def _maybe(row: Row | None) -> Checkout | None:
    if row is None:
        return None
    return Checkout(
        checkout_id=row["checkout_id"],
        intent_id=row["intent_id"],
        user_id=row["user_id"],
        wallet_id=row["wallet_id"],
        app_id=row["app_id"],
        terms=row["terms"],
        mode=row["mode"],
        lookup_key=row["lookup_key"],
        product_name=row["product_name"],
        stripe_price_id=row["stripe_price_id"],
        quantity=row["quantity"],
        credits=Credits(row["credits_micro"]),
        price=Money(row["amount_minor"], row["currency"]),
        success_url=row["success_url"],
        cancel_url=row["cancel_url"],
        status=Status(row["status"]),
        attempt=row["attempt"],
        stripe_session_id=row["stripe_session_id"],
        stripe_customer_id=row["stripe_customer_id"],
        url=row["url"],
        paid_minor=row["paid_minor"],
        payment_status=row["payment_status"],
        session_metadata=row["session_metadata"],
        granted_version=row["granted_version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        expires_at=row["expires_at"],
    )

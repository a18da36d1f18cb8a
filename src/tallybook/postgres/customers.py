"""The door to Stripe customers: which one a user is, and whose account this is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tallybook.domain.errors import (
    StripeAccountMismatchError,
    UserInactiveError,
    UserNotFoundError,
)
from tallybook.postgres.pool import Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("customers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The Stripe account and mode that this database serves; ``deployment_id`` names the database."""

    account_id: str
    livemode: bool
    deployment_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A user's Stripe customer; without an id yet, intent and attempt are the idempotency key to make one."""

    user_id: int
    email: str
    intent_id: UUID
    attempt: int
    stripe_customer_id: str | None


async def account(tx: Transaction) -> Account | None:
    """The account that was written down, or None before the first start with Stripe."""
    row = await tx.maybe(_SQL.account)
    if row is None:
        return None
    return Account(account_id=row["account_id"], livemode=row["livemode"], deployment_id=row["deployment_id"])


async def record_account(tx: Transaction, now: datetime, *, account_id: str, livemode: bool) -> Account:
    """Write the account down unless one already is; gives back the one that stands.

    Raises:
        StripeAccountMismatchError: the database serves another account, or the other mode.
    """
    await tx.run(_SQL.record_account, now=now, account_id=account_id, livemode=livemode)
    found = await account(tx)
    assert found is not None
    if (found.account_id, found.livemode) != (account_id, livemode):
        raise StripeAccountMismatchError(recorded_account=found.account_id, recorded_livemode=found.livemode)
    return found


async def intend_customer(tx: Transaction, now: datetime, *, user_id: int) -> Customer:
    """The user's customer; if there is none, the intent is written down.

    Raises:
        UserNotFoundError: there is no such user.
        UserInactiveError: they may not buy.
    """
    buyer = await tx.maybe(_SQL.buyer, user_id=user_id)
    if buyer is None:
        raise UserNotFoundError
    if not buyer["is_active"]:
        raise UserInactiveError
    await tx.run(_SQL.intend_customer, now=now, user_id=user_id)
    return await _customer(tx, user_id)


async def keep_customer(
    tx: Transaction, now: datetime, customer: Customer, *, stripe_customer_id: str
) -> Customer:
    """Keep what Stripe made of this intent, unless another request did first; gives back what stands."""
    await tx.run(
        _SQL.keep_customer,
        now=now,
        user_id=customer.user_id,
        intent_id=customer.intent_id,
        stripe_customer_id=stripe_customer_id,
    )
    return await _customer(tx, customer.user_id)


async def next_attempt(tx: Transaction, now: datetime, customer: Customer) -> Customer:
    """The attempt ended for good without a customer, the next one gets its own key; gives back what stands."""
    await tx.run(
        _SQL.next_attempt,
        now=now,
        user_id=customer.user_id,
        intent_id=customer.intent_id,
        attempt=customer.attempt,
    )
    return await _customer(tx, customer.user_id)


async def forget_customer(tx: Transaction, now: datetime, customer: Customer) -> Customer:
    """The customer is gone from Stripe: a new intent, unless another request wrote it; gives back what stands."""
    await tx.run(
        _SQL.forget_customer,
        now=now,
        user_id=customer.user_id,
        stripe_customer_id=customer.stripe_customer_id,
    )
    return await _customer(tx, customer.user_id)


async def stripe_id_of(tx: Transaction, user_id: int) -> str | None:
    """The user's Stripe customer, if there is one yet."""
    row = await tx.maybe(_SQL.customer, user_id=user_id)
    return None if row is None else row["stripe_customer_id"]


async def by_stripe_id(tx: Transaction, stripe_customer_id: str) -> Customer | None:
    """The user who is this Stripe customer; None if it is nobody of ours."""
    row = await tx.maybe(_SQL.user_of, stripe_customer_id=stripe_customer_id)
    return None if row is None else await _customer(tx, row["user_id"])


async def users_of(tx: Transaction, customer_ids: Collection[str]) -> dict[str, int]:
    """Whose some Stripe customers are, by customer; those that are nobody's are left out."""
    rows = await tx.many(_SQL.users_of, customer_ids=list(customer_ids))
    return {row["stripe_customer_id"]: row["user_id"] for row in rows}


async def linked(tx: Transaction, stripe_customer_id: str) -> tuple[int, datetime] | None:
    """Whose a Stripe customer is, and since when."""
    row = await tx.maybe(_SQL.linked, stripe_customer_id=stripe_customer_id)
    return None if row is None else (row["user_id"], row["created_at"])


async def of_user(tx: Transaction, user_id: int) -> int | None:
    """The user, if they are a customer at Stripe."""
    row = await tx.maybe(_SQL.of_user, user_id=user_id)
    return None if row is None else int(row["user_id"])


async def app_domains(tx: Transaction) -> list[str]:
    """The domains of the active apps."""
    return [row["domain"] for row in await tx.many(_SQL.app_domains)]


async def _customer(tx: Transaction, user_id: int) -> Customer:
    row = await tx.one(_SQL.customer, user_id=user_id)
    return Customer(
        user_id=user_id,
        email=row["email"],
        intent_id=row["intent_id"],
        attempt=row["attempt"],
        stripe_customer_id=row["stripe_customer_id"],
    )

"""The user's Stripe customer: made once, made anew when it was deleted there, never stuck on a stored failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio
from sandbox.process import KEY

from payments.desk import Till
from tallybook.domain.errors import (
    StripeOutcomeSealedError,
    StripeRefusedError,
    StripeUnavailableError,
)
from tallybook.domain.payments.reports import SessionReport
from tallybook.postgres import customers
from tallybook.stripe.gateway import PINNED_API_VERSION, StripeGateway
from tallybook.stripe.orders import SessionOrder

pytestmark = pytest.mark.timeout(60)


class TroubledGateway(StripeGateway):
    """Makes customers, and says of some that it did not; keeps the keys that it was sent."""

    lost = 0
    sealed: frozenset[str] = frozenset()

    def __init__(self, api_base: str) -> None:
        """Speak to the sandbox."""
        super().__init__(KEY, api_base=api_base, api_version=PINNED_API_VERSION)
        self.keys: list[str] = []
        self.session_keys: list[str] = []

    async def create_customer(self, *, email: str, metadata: Mapping[str, str], idempotency_key: str) -> str:
        """Lose the first answers on their way back; a sealed attempt fails for ever."""
        self.keys.append(idempotency_key)
        if idempotency_key.rpartition(":")[2] in self.sealed:
            raise StripeOutcomeSealedError
        made = await super().create_customer(email=email, metadata=metadata, idempotency_key=idempotency_key)
        if self.lost:
            self.lost -= 1
            raise StripeUnavailableError
        return made

    async def open_session(self, order: SessionOrder, *, idempotency_key: str) -> SessionReport:
        """Open it, and keep the key."""
        self.session_keys.append(idempotency_key)
        return await super().open_session(order, idempotency_key=idempotency_key)


@pytest_asyncio.fixture
async def gateway(till: Till) -> AsyncIterator[TroubledGateway]:
    """A gateway to the sandbox with which customers are hard to make."""
    made = TroubledGateway(till.sandbox.base_url)
    yield made
    await made.close()


def known(till: Till) -> list[tuple[Any, ...]]:
    """The customers in our books."""
    return till.ask("SELECT stripe_customer_id FROM tallybook.stripe_customers")


def delete_customer(till: Till) -> str:
    """Delete the user's customer at Stripe, as a person at the dashboard does."""
    [[customer]] = known(till)
    gone = till.sandbox.http().delete(f"/v1/customers/{customer}").json()
    assert gone["deleted"] is True
    return str(customer)


def living(till: Till) -> list[str]:
    """The customers of this database that Stripe has."""
    [[deployment]] = till.ask("SELECT deployment_id::text FROM tallybook.stripe_account")
    page = till.stripe_get("/v1/customers", limit=100)["data"]
    return [
        one["id"]
        for one in page
        if not one.get("deleted") and one["metadata"].get("deployment") == deployment
    ]


async def test_pitfall_11_a_customer_who_was_deleted_at_stripe_buys_again(till: Till) -> None:
    await till.open("pack_100")
    gone = delete_customer(till)

    checkout = await till.open("package_starter")
    till.pay(checkout)
    await till.deliver_all(checkout)

    [[anew]] = known(till)
    assert anew != gone
    assert living(till) == [anew]
    assert till.credits() == 1000


async def test_the_session_for_the_new_customer_is_asked_for_under_a_key_of_its_own(
    till: Till, gateway: TroubledGateway
) -> None:
    await till.open("pack_100")
    delete_customer(till)

    checkout = await till.but(stripe=gateway).open("package_starter")

    assert gateway.session_keys == [f"checkout:{checkout.intent_id}:{attempt}" for attempt in (1, 2)]


async def test_requests_that_race_after_the_deletion_make_one_customer(till: Till) -> None:
    await till.open("pack_100")
    gone = delete_customer(till)

    opened = await asyncio.gather(
        *(till.open("pack_100") for _ in range(4)), *(till.open("pack_250", key="order-7") for _ in range(4))
    )

    [[anew]] = known(till)
    assert anew != gone
    assert living(till) == [anew]
    assert {checkout.stripe_customer_id for checkout in opened} == {anew}
    assert len({checkout.stripe_session_id for checkout in opened}) == 5


async def test_a_checkout_paid_before_the_deletion_is_still_its_customers(till: Till) -> None:
    before = await till.open("package_starter")
    till.pay(before)
    gone = delete_customer(till)
    after = await till.open("pack_100")

    await till.deliver_all(before)

    assert before.stripe_customer_id == gone != after.stripe_customer_id
    assert ("payment_intent.succeeded", "done", "granted") in till.inbox()
    assert till.credits() == 1000


async def test_a_customer_deleted_before_we_learnt_of_it_is_made_anew(
    till: Till, gateway: TroubledGateway
) -> None:
    gateway.lost = 1
    with pytest.raises(StripeUnavailableError):
        await till.but(stripe=gateway).open("pack_100", key="order-7")
    [unknown] = living(till)
    till.sandbox.http().delete(f"/v1/customers/{unknown}")

    checkout = await till.but(stripe=gateway).open("pack_100", key="order-7")

    assert checkout.stripe_session_id is not None
    assert living(till) == [checkout.stripe_customer_id]
    assert gateway.keys[0] == gateway.keys[1] != gateway.keys[2]


async def test_what_is_missing_else_is_refused_and_the_customer_stays(till: Till) -> None:
    await till.open("pack_100")
    before = till.ask("SELECT intent_id, attempt, stripe_customer_id FROM tallybook.stripe_customers")
    till.ask(
        "UPDATE tallybook.catalog_links SET stripe_price_id = 'price_gone' WHERE lookup_key = 'pack_1000'"
    )

    with pytest.raises(StripeRefusedError, match="price_gone"):
        await till.open("pack_1000")

    assert till.ask("SELECT intent_id, attempt, stripe_customer_id FROM tallybook.stripe_customers") == before


async def test_an_unknown_outcome_is_asked_again_under_the_same_key(
    till: Till, gateway: TroubledGateway
) -> None:
    gateway.lost = 1
    with pytest.raises(StripeUnavailableError):
        await till.but(stripe=gateway).open("pack_100")

    checkout = await till.but(stripe=gateway).open("pack_100")

    assert len(set(gateway.keys)) == 1
    assert living(till) == [checkout.stripe_customer_id]


async def test_pitfall_11_an_email_that_changed_after_an_unknown_outcome_does_not_stick(
    till: Till, gateway: TroubledGateway
) -> None:
    gateway.lost = 1
    with pytest.raises(StripeUnavailableError):
        await till.but(stripe=gateway).open("pack_100")
    till.ask("UPDATE tallybook.users SET email = 'ada@elsewhere.example'")

    checkout = await till.but(stripe=gateway).open("pack_100")

    customer = till.stripe_get(f"/v1/customers/{checkout.stripe_customer_id}")
    assert customer["email"] == "ada@elsewhere.example"
    assert [key.rpartition(":")[2] for key in gateway.keys] == ["1", "1", "2"]


async def test_a_failure_that_stripe_stored_does_not_stick(till: Till, gateway: TroubledGateway) -> None:
    gateway.sealed = frozenset({"1"})

    opened = await asyncio.gather(*(till.but(stripe=gateway).open("pack_100") for _ in range(4)))

    assert living(till) == [opened[0].stripe_customer_id]
    assert {key.rpartition(":")[2] for key in gateway.keys} == {"1", "2"}


async def test_failures_again_and_again_are_said_and_the_next_request_goes_on(
    till: Till, gateway: TroubledGateway
) -> None:
    gateway.sealed = frozenset({"1", "2"})
    with pytest.raises(StripeOutcomeSealedError):
        await till.but(stripe=gateway).open("pack_100", key="order-7")

    checkout = await till.but(stripe=gateway).open("pack_100", key="order-7")

    assert living(till) == [checkout.stripe_customer_id]
    assert [key.rpartition(":")[2] for key in gateway.keys] == ["1", "2", "3"]


async def test_a_slow_request_does_not_bring_a_deleted_customer_back(till: Till) -> None:
    now = till.ctx.clock()
    async with till.ctx.db.transaction() as tx:
        slow = await customers.intend_customer(tx, now, user_id=till.user_id)
        kept = await customers.keep_customer(tx, now, slow, stripe_customer_id="cus_gone")
        await customers.forget_customer(tx, now, kept)

        stands = await customers.keep_customer(tx, now, slow, stripe_customer_id="cus_gone")

    assert stands.stripe_customer_id is None
    assert stands.intent_id != slow.intent_id

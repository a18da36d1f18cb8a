"""A period that costs nothing now: who may begin one, how often, and what a plan that comes may not undo."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from sandbox.process import KEY

from payments.cardholder import Cardholder
from payments.desk import OPERATOR, Till
from payments.form_filler import selling_with
from payments.promoting import Deaf, code
from payments.subscriber import Subscriber
from tallybook.domain.catalog.products import Catalog
from tallybook.domain.errors import (
    AlreadySubscribedError,
    PermissionDeniedError,
    PromotionCodeError,
    StripeUnavailableError,
    SubscriptionStateError,
    SubscriptionSupersededError,
)
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.payments.subscriptions import SubscriptionReport
from tallybook.postgres import subscriptions
from tallybook.stripe.billing import SubscriptionOrder
from tallybook.stripe.gateway import PINNED_API_VERSION, StripeGateway
from tallybook.stripe.orders import Sales
from tallybook.usecases import apps
from tallybook.usecases.subscriptions import beginning, changing

pytestmark = pytest.mark.timeout(180)


@pytest_asyncio.fixture
async def generous(ada: Subscriber) -> AsyncIterator[Subscriber]:
    """The customer, where codes are taken."""
    async with selling_with(ada.till, promotion_codes=True) as till:
        ada.till = till
        yield ada


async def begun_by_an_app(subscriber: Subscriber, *, promotion_code: str | None) -> str:
    """How a plan is that an app begins for its user."""
    made = await apps.register(subscriber.till.ctx, OPERATOR, name="writer")
    app = Caller(app_id=made.app.app_id, by_key=True, permissions=frozenset({Permission.PURCHASE_CREDITS}))
    begun = await beginning.begin(
        subscriber.till.ctx,
        app,
        reference="plan_starter",
        quantity=1,
        user_id=subscriber.till.user_id,
        payment_method_id=None,
        key=None,
        promotion_code=promotion_code,
    )
    return str(begun.subscription.status)


async def test_an_app_begins_nothing_free_that_a_saved_card_would_pay_for_later(generous: Subscriber) -> None:
    free = code(generous.till, percent=100, duration="once")
    await Cardholder(generous.till).save("pm_card_visa")

    with pytest.raises(PermissionDeniedError, match="saved card"):
        await begun_by_an_app(generous, promotion_code=free)
    waits = await begun_by_an_app(generous, promotion_code=None)

    assert (waits, generous.till.grants()) == ("incomplete", 0)


async def test_an_app_begins_no_trial_that_a_saved_card_would_pay_for_later(ada: Subscriber) -> None:
    products = [
        replace(one, trial_days=7) if one.lookup_key == "plan_starter" else one
        for one in ada.till.ctx.catalog.products
    ]
    ada.till = ada.till.but(catalog=Catalog(products=tuple(products)))
    await Cardholder(ada.till).save("pm_card_visa")

    with pytest.raises(PermissionDeniedError, match="saved card"):
        await begun_by_an_app(ada, promotion_code=None)


async def test_an_app_begins_a_free_period_for_who_has_saved_no_card(generous: Subscriber) -> None:
    free = code(generous.till, percent=100, duration="once")

    assert await begun_by_an_app(generous, promotion_code=free) == "active"


async def test_a_code_begins_one_plan_of_a_customer_and_not_one_after_another(generous: Subscriber) -> None:
    free = code(generous.till, percent=100, duration="once")
    await generous.begin("plan_starter", promotion_code=free, key="first")
    again = await generous.begin("plan_starter", promotion_code=free, key="first")
    await changing.cancel(
        generous.till.ctx, generous.till.caller, await generous.reference(), at_once=True, key=None
    )

    with pytest.raises(PromotionCodeError) as refused:
        await generous.begin("plan_starter", promotion_code=free, key="second")

    assert again.replayed
    assert refused.value.facts["reason"] == "used_up"
    assert generous.till.credits() == 100


async def test_a_free_period_whose_answer_was_lost_has_its_place(generous: Subscriber) -> None:
    free = code(generous.till, percent=100, duration="once")
    deaf = Deaf(
        KEY,
        api_base=generous.till.sandbox.base_url,
        api_version=PINNED_API_VERSION,
        sales=Sales(promotion_codes=True),
    )
    generous.till = generous.till.but(stripe=deaf)

    with pytest.raises(StripeUnavailableError):
        await generous.begin("plan_starter", promotion_code=free, key="first")
    with pytest.raises(AlreadySubscribedError):
        await generous.begin("plan_starter", promotion_code=free, key="second")
    await generous.hear()
    await deaf.close()

    assert generous.till.credits() == 100
    assert len(generous.till.stripe_get("/v1/subscriptions", customer=generous.customer_id)["data"]) == 1


class Slow(StripeGateway):
    """Is slower to answer than another tab is to take the place."""

    async def create_subscription(
        self, order: SubscriptionOrder, *, idempotency_key: str
    ) -> SubscriptionReport:
        """Begin it when the attempt has been given up."""
        async with self.till.ctx.db.transaction() as tx:
            [row] = self.till.ask("SELECT max(subscription_id) FROM tallybook.subscriptions")
            await subscriptions.abandon(tx, self.till.ctx.clock(), row[0], unopened=True)
        return await super().create_subscription(order, idempotency_key=idempotency_key)

    till: Till


async def test_a_free_period_that_came_too_late_for_its_place_brings_nothing(generous: Subscriber) -> None:
    free = code(generous.till, percent=100, duration="once")
    slow = Slow(
        KEY,
        api_base=generous.till.sandbox.base_url,
        api_version=PINNED_API_VERSION,
        sales=Sales(promotion_codes=True),
    )
    slow.till = generous.till
    generous.till = generous.till.but(stripe=slow)

    with pytest.raises(SubscriptionSupersededError):
        await generous.begin("plan_starter", promotion_code=free)
    await generous.hear()
    await slow.close()

    assert (generous.till.credits(), generous.till.grants()) == (0, 0)
    assert generous.till.stripe_get("/v1/subscriptions", customer=generous.customer_id)["data"] == []


async def test_a_code_of_another_customer_is_as_unknown_as_none(generous: Subscriber) -> None:
    other = generous.till.stripe_post("/v1/customers", email="bob@example.com")["id"]
    bobs = code(generous.till, percent=100, customer=other)

    for text in (bobs, "NEVER-MADE", "   "):
        with pytest.raises(PromotionCodeError) as refused:
            await generous.begin("plan_starter", promotion_code=text)
        assert refused.value.facts["reason"] == "unknown"


@pytest.mark.parametrize("ending", ["cancel_at_period_end", "cancel_at"])
async def test_a_plan_that_is_to_end_gets_no_other_one_though_nobody_told_us(
    ada: Subscriber, ending: str
) -> None:
    found = await ada.subscribe("plan_starter")
    at_stripe = f"/v1/subscriptions/{found.stripe_subscription_id}"
    assert found.current_period_end is not None
    then = "true" if ending == "cancel_at_period_end" else str(int(found.current_period_end.timestamp()) + 60)
    ada.till.stripe_post(at_stripe, **{ending: then})

    with pytest.raises(SubscriptionStateError, match="reactivate"):
        await ada.change("plan_business", at_period_end=True)

    assert ada.till.stripe_get(at_stripe)["schedule"] is None

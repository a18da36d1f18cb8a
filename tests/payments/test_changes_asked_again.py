"""What was asked to become of a subscription and whose answer was lost: asked again, it is done, not refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime

import pytest
import pytest_asyncio
from sandbox.process import KEY

from payments.desk import Till
from payments.subscriber import Subscriber
from tallybook.domain.errors import StripeUnavailableError, SubscriptionStateError
from tallybook.stripe.gateway import PINNED_API_VERSION, StripeGateway
from tallybook.usecases.subscriptions import changing
from tallybook.usecases.subscriptions.changing import Changed

pytestmark = pytest.mark.timeout(240)


class DeafGateway(StripeGateway):
    """Carries a change out at Stripe and loses the answer, whenever ``deaf``."""

    deaf = False

    async def cancel(self, subscription_id: str) -> None:
        """End it; the answer is lost."""
        await super().cancel(subscription_id)
        self._lose()

    async def cancel_at_period_end(self, subscription_id: str, *, wanted: bool, idempotency_key: str) -> None:
        """Say whether it ends with its period; the answer is lost."""
        await super().cancel_at_period_end(subscription_id, wanted=wanted, idempotency_key=idempotency_key)
        self._lose()

    async def pause(self, subscription_id: str, *, resumes_at: datetime | None, idempotency_key: str) -> None:
        """Pause it; the answer is lost."""
        await super().pause(subscription_id, resumes_at=resumes_at, idempotency_key=idempotency_key)
        self._lose()

    async def unpause(self, subscription_id: str, *, idempotency_key: str) -> None:
        """Bill again; the answer is lost."""
        await super().unpause(subscription_id, idempotency_key=idempotency_key)
        self._lose()

    def _lose(self) -> None:
        if self.deaf:
            self.deaf = False
            raise StripeUnavailableError


@pytest_asyncio.fixture
async def deaf(ada: Subscriber) -> AsyncIterator[DeafGateway]:
    """The gateway of a subscriber with a plan that runs."""
    gateway = DeafGateway(KEY, api_base=ada.till.sandbox.base_url, api_version=PINNED_API_VERSION)
    ada.till = ada.till.but(stripe=gateway)
    await ada.subscribe("plan_starter")
    yield gateway
    await gateway.close()


Ask = Callable[[Till, str, str], Awaitable[Changed]]


async def _cancel(till: Till, one: str, key: str) -> Changed:
    return await changing.cancel(till.ctx, till.caller, one, at_once=True, key=key)


async def _cancel_later(till: Till, one: str, key: str) -> Changed:
    return await changing.cancel(till.ctx, till.caller, one, at_once=False, key=key)


async def _reactivate(till: Till, one: str, key: str) -> Changed:
    return await changing.reactivate(till.ctx, till.caller, one, key=key)


async def _pause(till: Till, one: str, key: str) -> Changed:
    return await changing.pause(till.ctx, till.caller, one, resumes_at=None, key=key)


async def _resume(till: Till, one: str, key: str) -> Changed:
    return await changing.resume(till.ctx, till.caller, one, key=key)


@pytest.mark.parametrize(
    ("first", "ask", "refused_anew"),
    [
        (None, _cancel, True),
        (None, _cancel_later, False),
        (_cancel_later, _reactivate, True),
        (None, _pause, False),
        (_pause, _resume, True),
    ],
)
@pytest.mark.parametrize("told", [False, True], ids=["before its event", "after its event"])
async def test_asked_again_after_a_lost_answer_it_is_done_once(
    ada: Subscriber, deaf: DeafGateway, first: Ask | None, ask: Ask, refused_anew: bool, told: bool
) -> None:
    one = await ada.reference()
    if first is not None:
        await first(ada.till, one, "first")
    deaf.deaf = True
    with pytest.raises(StripeUnavailableError):
        await ask(ada.till, one, "wish")
    if told:
        await ada.hear()

    done = await ask(ada.till, one, "wish")
    again = await ask(ada.till, one, "wish")

    assert (done.replayed, again.replayed) == (False, True)
    assert done.subscription == again.subscription
    [[audited]] = ada.till.ask("SELECT count(*) FROM tallybook.audit_log WHERE action LIKE 'subscription.%%'")
    if refused_anew:
        with pytest.raises(SubscriptionStateError):
            await ask(ada.till, one, "another wish")
    else:
        await ask(ada.till, one, "another wish")
    assert audited >= 1

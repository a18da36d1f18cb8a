"""What is heard of too early, too late or within the same second: our books say what Stripe has, and the end stays."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sandbox.process import KEY

from payments.cardholder import losing
from payments.desk import Till
from payments.money import bought
from payments.subscriber import Subscriber
from tallybook.domain.errors import StripeUnavailableError
from tallybook.domain.payments.invoices import InvoiceReport
from tallybook.domain.payments.reports import SessionReport
from tallybook.domain.payments.subscriptions import SubscriptionStatus
from tallybook.stripe.gateway import PINNED_API_VERSION, StripeGateway
from tallybook.usecases import fulfilment
from tallybook.usecases.subscriptions import settling

pytestmark = pytest.mark.timeout(120)


class BelatedGateway(StripeGateway):
    """Says what sessions and invoices were like before they were paid, as a slow reader would have it."""

    async def session(self, session_id: str) -> SessionReport | None:
        """The session as one that ended unpaid."""
        now = await super().session(session_id)
        return None if now is None else replace(now, status="expired", payment_status="unpaid")

    async def invoice(self, invoice_id: str) -> InvoiceReport | None:
        """The invoice while it was due."""
        now = await super().invoice(invoice_id)
        return None if now is None else replace(now, status="open", amount_paid_minor=0)


async def test_pitfall_04_changes_within_one_second_are_all_followed(clocked: Subscriber) -> None:
    """The clock stands still here and at Stripe: a time stamp could not tell which change is newer."""
    found = await clocked.subscribe()
    path = f"/v1/subscriptions/{found.stripe_subscription_id}"

    followed = []
    for wanted in ("true", "false", "true"):
        clocked.till.stripe_post(path, cancel_at_period_end=wanted)
        await clocked.hear()
        followed.append((await clocked.subscription()).cancel_at_period_end)

    assert found.status is SubscriptionStatus.ACTIVE
    assert followed == [True, False, True]


async def test_pitfall_12_events_before_our_own_commit_find_the_attempt(ada: Subscriber) -> None:
    """Stripe made the subscription and tells of it; its answer to us was lost, so its id is in no row of ours."""
    async with losing(ada.till, "/v1/subscriptions") as cut:
        with pytest.raises(StripeUnavailableError):
            await replace(ada, till=cut).begin(key="once")

    await ada.hear()
    heard = ada.outcomes("customer.subscription.created")
    begun = await ada.begin(key="once")

    assert heard == ["incomplete"]
    assert begun.replayed
    assert begun.client_secret is not None
    assert ada.till.ask("SELECT count(*), count(key) FROM tallybook.subscriptions") == [(1, 1)]
    assert len(ada.till.stripe_get("/v1/subscriptions", customer=ada.customer_id, status="all")["data"]) == 1


async def test_pitfall_13_a_paid_checkout_stays_paid_whatever_is_said_later(till: Till) -> None:
    checkout = await bought(till)
    belated = BelatedGateway(KEY, api_base=till.sandbox.base_url, api_version=PINNED_API_VERSION)

    settled = await fulfilment.settle_checkout(till.but(stripe=belated).ctx, checkout.stripe_session_id or "")
    await belated.close()

    assert settled.outcome == "already_granted"
    assert await till.status(checkout) == "paid"
    assert till.credits() == 1000


async def test_pitfall_13_a_paid_invoice_stays_paid_whatever_is_said_later(ada: Subscriber) -> None:
    found = await ada.subscribe()
    belated = BelatedGateway(KEY, api_base=ada.till.sandbox.base_url, api_version=PINNED_API_VERSION)

    settled = await settling.settle_invoice(ada.till.but(stripe=belated).ctx, found.latest_invoice_id or "")
    await belated.close()

    assert settled.outcome == "already_granted"
    assert ada.invoices() == [("subscription_create", "paid", "granted", 100)]

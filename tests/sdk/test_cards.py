"""The SDK's calls about cards against a running Tallybook."""

from __future__ import annotations

import pytest
from running_service import EMAIL, PASSWORD, Running

from credit_sdk import AsyncClient, Client
from credit_sdk.errors import PaymentMethodNotFoundError, TopUpRuleNotFoundError


def session_token(running: Running) -> str:
    """A session of the customer, signed in to Tallybook itself."""
    with Client(running.base_url) as nobody:
        return nobody.sessions.create(EMAIL, PASSWORD).session_token


def test_a_payment_is_started_and_auto_top_up_is_set_seen_and_ended(running: Running) -> None:
    with Client(running.base_url, session_token=session_token(running)) as client:
        form = client.payment_intents.create("pack_100", quantity=2)
        seen = client.payment_intents.get(form.id)
        saving = client.payment_methods.save()
        rule = client.top_ups.set(threshold=5, price="pack_100", monthly_cap_minor=1, enabled=False)

        assert (seen.id, seen.amount_minor, seen.credits_micro) == (form.id, 2000, 200 * 10**6)
        assert form.client_secret is not None
        assert form.client_secret not in repr(form)
        assert saving.client_secret is not None
        assert client.payment_methods.list().data == ()
        assert client.top_ups.get() == rule
        assert client.top_ups.charges().data == ()
        assert client.payment_methods.open_portal().url.startswith("http")
        assert client.payment_intents.complete(form.id).redirect_url is None
        with pytest.raises(PaymentMethodNotFoundError):
            client.payment_methods.set_default("pm_nobodys")
        with pytest.raises(PaymentMethodNotFoundError):
            client.payment_methods.remove("pm_nobodys")
        client.top_ups.end()
        with pytest.raises(TopUpRuleNotFoundError):
            client.top_ups.get()


async def test_the_awaited_client_has_the_same_calls(running: Running) -> None:
    token = session_token(running)
    async with AsyncClient(running.base_url, session_token=token) as client:
        form = await client.payment_intents.create("pack_100", idempotency_key="order-1")
        again = await client.payment_intents.create("pack_100", idempotency_key="order-1")

        assert (again.id, again.replayed, form.replayed) == (form.id, True, False)

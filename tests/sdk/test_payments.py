"""The SDK against the service: payments, what a refund would do, a refund, and a wallet that is frozen."""

from __future__ import annotations

import time

import pytest
from running_service import Running

from credit_sdk import Client
from credit_sdk.errors import (
    AdminRequiredError,
    PaymentNotFoundError,
    PermissionDeniedError,
    RefundExceedsError,
    WalletFrozenError,
)

M = 1_000_000


def _token(running: Running) -> str:
    return str(running.sign_in()["session_token"])


def _paid(running: Running) -> None:
    """The customer buys the starter package, and its credits arrive."""
    with Client(running.base_url, session_token=_token(running)) as customer:
        opened = customer.checkouts.create(
            "package_starter",
            success_url=f"{running.base_url}/credits",
            cancel_url=f"{running.base_url}/credits",
        )
        running.sandbox.control(f"checkout/sessions/{opened.stripe_session_id}/pay", card="4242424242424242")
        deadline = time.monotonic() + 60
        while customer.checkouts.get(opened.id).status != "paid":
            assert time.monotonic() < deadline, "the credits do not arrive"
            time.sleep(0.05)


def test_payments_are_listed_previewed_and_refunded(running: Running) -> None:
    _paid(running)
    with (
        Client(running.base_url, session_token=_token(running)) as customer,
        Client(running.base_url, session_token=running.admin_token()) as admin,
    ):
        [payment] = customer.payments.list().data
        preview = admin.payments.preview_refund(payment.id, 400)
        with pytest.raises(PermissionDeniedError):
            customer.payments.refund(payment.id)
        made = admin.payments.refund(payment.id, 400, idempotency_key="once")
        again = admin.payments.refund(payment.id, 400, idempotency_key="once")
        with pytest.raises(RefundExceedsError) as refused:
            admin.payments.refund(payment.id, 700)
        with pytest.raises(PaymentNotFoundError):
            customer.payments.get("pay_999")
        whole = customer.payments.get(payment.id)

    assert (payment.amount_minor, payment.refundable_minor, payment.credits_micro) == (1000, 1000, 1000 * M)
    assert (preview.credits_micro, preview.from_payment_micro, preview.debt_micro) == (400 * M, 400 * M, 0)
    assert (made.payment.refunded_minor, made.payment.taken_back_micro) == (400, 400 * M)
    assert (again.id, again.replayed, made.replayed) == (made.id, True, False)
    assert refused.value.facts["refundable_minor"] == 600
    assert [refund.id for refund in whole.refunds] == [made.id]
    assert whole.disputes == ()
    assert len(whole.lots) == 1


def test_a_frozen_wallet_spends_nothing_until_it_is_thawed(running: Running) -> None:
    with (
        Client(running.base_url, api_key=running.api_key) as client,
        Client(running.base_url, session_token=running.admin_token()) as admin,
    ):
        granted = client.transfers.grant(running.user_id, 10)
        with pytest.raises(AdminRequiredError):
            client.wallets.freeze(granted.wallet)
        frozen = admin.wallets.freeze(granted.wallet)
        with pytest.raises(WalletFrozenError):
            client.transfers.spend(running.user_id, 1)
        with pytest.raises(WalletFrozenError):
            client.holds.place(running.user_id, 1)
        thawed = admin.wallets.thaw(granted.wallet)
        spent = client.transfers.spend(running.user_id, 1)

    assert (frozen.frozen, thawed.frozen) == (True, False)
    assert spent.wallet_after.available_micro == 9 * M

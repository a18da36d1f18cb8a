"""The requests of payments and refunds: method, path, body and answer, said once (see ``requests.py``)."""

from __future__ import annotations

from typing import Literal

from credit_sdk.answers import Page, Wallet
from credit_sdk.answers_of_payments import MadeRefund, Payment, RefundPreview, WholePayment
from credit_sdk.requests import Request, given, new_key, one, page, segment


def payments(
    user_id: int | None = None, *, limit: int | None = None, after: str | int | None = None
) -> Request[Page[Payment]]:
    """Payments of a user (of the signed-in user without ``user_id``), newest first."""
    return Request(
        method="GET",
        path="/v1/payments",
        read=page(Payment),
        query=given(user_id=user_id, limit=limit, after=after),
    )


def payment(payment_id: str) -> Request[WholePayment]:
    """A payment with its refunds, disputes and receipt.

    Raises:
        PaymentNotFoundError: there is none, or it is not the caller's.
    """
    return Request(method="GET", path=f"/v1/payments/{segment(payment_id)}", read=one(WholePayment))


def preview_refund(payment_id: str, amount_minor: int | None = None) -> Request[RefundPreview]:
    """What a refund (of all that is left, without ``amount_minor``) would take; nothing is changed.

    Raises:
        RefundExceedsError: more than is left of the payment.
    """
    return Request(
        method="GET",
        path=f"/v1/payments/{segment(payment_id)}/refunds/preview",
        read=one(RefundPreview),
        query=given(amount_minor=amount_minor),
    )


def refund(
    payment_id: str,
    amount_minor: int | None = None,
    *,
    reason: Literal["duplicate", "fraudulent", "requested_by_customer"] | None = None,
    idempotency_key: str | None = None,
) -> Request[MadeRefund]:
    """Give money back through Stripe; needs an admin's session or an app with ``refund_payments``.

    Raises:
        PermissionDeniedError: the caller may not. RefundExceedsError: more than is left of the payment.
        StripeUnavailableError: the outcome is unknown; repeat with the error's ``idempotency_key``.
    """
    return Request(
        method="POST",
        path=f"/v1/payments/{segment(payment_id)}/refunds",
        read=one(MadeRefund),
        body=given(amount_minor=amount_minor, reason=reason),
        key=idempotency_key or new_key(),
    )


def freeze(wallet_id: str) -> Request[Wallet]:
    """Let a wallet neither spend nor place holds; needs an admin's session."""
    return Request(method="PUT", path=f"/v1/wallets/{segment(wallet_id)}/freeze", read=one(Wallet))


def thaw(wallet_id: str) -> Request[Wallet]:
    """End an admin's freeze; one that an open dispute began stays."""
    return Request(method="DELETE", path=f"/v1/wallets/{segment(wallet_id)}/freeze", read=one(Wallet))

"""The requests of subscriptions: method, path, body and answer, said once (see ``requests.py``)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from credit_sdk.answers import Page
from credit_sdk.answers_of_subscriptions import PlanPreview, Subscription
from credit_sdk.requests import Request, given, new_key, one, page, segment


def begin(
    price: str,
    *,
    quantity: int | None = None,
    user_id: int | None = None,
    payment_method: str | None = None,
    promotion_code: str | None = None,
    address: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
) -> Request[Subscription]:
    """Begin a subscription for a payment form; ``checkouts.create(mode="subscription")`` opens Stripe's page.

    ``address`` says where tax is due, if tax is reckoned: ``{"country": "DE", "postal_code": "10115"}``.

    Raises:
        PromotionCodeError: the code cannot be used. TaxLocationRequiredError: no address that tax is known for.
        AlreadySubscribedError: the user has a plan of this family. PriceNotFoundError: no such plan.
    """
    return Request(
        method="POST",
        path="/v1/subscriptions",
        read=one(Subscription),
        body={
            "price": price,
            **given(
                quantity=quantity,
                user_id=user_id,
                payment_method=payment_method,
                promotion_code=promotion_code,
                address=address,
            ),
        },
        key=idempotency_key or new_key(),
    )


def subscriptions(user_id: int | None = None) -> Request[Page[Subscription]]:
    """Every subscription that a user ever had, newest first; without a user the caller's own."""
    return Request(
        method="GET", path="/v1/subscriptions", read=page(Subscription), query={**given(user_id=user_id)}
    )


def subscription(subscription_id: str) -> Request[Subscription]:
    """A subscription with its newest invoices, by our id or Stripe's.

    Raises:
        SubscriptionNotFoundError: there is none, or it is not the caller's.
    """
    return Request(method="GET", path=f"/v1/subscriptions/{segment(subscription_id)}", read=one(Subscription))


def preview(
    subscription_id: str,
    price: str,
    *,
    quantity: int | None = None,
    at: Literal["period_end"] | None = None,
) -> Request[PlanPreview]:
    """What a change of plan would cost and bring now; nothing happens."""
    return Request(
        method="GET",
        path=f"/v1/subscriptions/{segment(subscription_id)}/preview",
        read=one(PlanPreview),
        query={"price": price, **given(quantity=quantity, at=at)},
    )


def change(
    subscription_id: str,
    price: str,
    *,
    quantity: int | None = None,
    proration_date: datetime | None = None,
    at: Literal["period_end"] | None = None,
    idempotency_key: str | None = None,
) -> Request[Subscription]:
    """Another plan or quantity: dearer now, for the difference; cheaper with the next period, for nothing.

    With ``at="period_end"`` a dearer one waits, too. The plan that was paid for takes back what waits.

    Raises:
        SubscriptionPaymentError: declined, so nothing was changed. PlanChangeUnsupportedError: not to this one.
    """
    stamp = None if proration_date is None else proration_date.isoformat()
    return _changing(
        subscription_id,
        "change",
        {"price": price, **given(quantity=quantity, proration_date=stamp, at=at)},
        idempotency_key,
    )


def cancel(
    subscription_id: str,
    *,
    at: Literal["period_end", "now"] | None = None,
    idempotency_key: str | None = None,
) -> Request[Subscription]:
    """End it with its paid period, or at once."""
    return _changing(subscription_id, "cancel", {**given(at=at)}, idempotency_key)


def reactivate(subscription_id: str, *, idempotency_key: str | None = None) -> Request[Subscription]:
    """Take back that it is to end with its period."""
    return _changing(subscription_id, "reactivate", None, idempotency_key)


def pause(
    subscription_id: str, *, resumes_at: datetime | None = None, idempotency_key: str | None = None
) -> Request[Subscription]:
    """Bill and grant nothing from the next period on."""
    at = None if resumes_at is None else resumes_at.isoformat()
    return _changing(subscription_id, "pause", {**given(resumes_at=at)}, idempotency_key)


def resume(subscription_id: str, *, idempotency_key: str | None = None) -> Request[Subscription]:
    """Bill and grant again."""
    return _changing(subscription_id, "resume", None, idempotency_key)


def _changing(
    subscription_id: str, verb: str, body: Mapping[str, object] | None, key: str | None
) -> Request[Subscription]:
    return Request(
        method="POST",
        path=f"/v1/subscriptions/{segment(subscription_id)}/{verb}",
        read=one(Subscription),
        body=body,
        key=key or new_key(),
    )

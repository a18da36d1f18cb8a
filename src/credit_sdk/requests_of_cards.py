"""The requests of cards: the payment form, saved methods, auto top-up, the portal (see ``requests.py``).

What was saved is the user's own: those calls need the session of a user who signed in to the service itself.
"""

from __future__ import annotations

from credit_sdk.amounts import Amount, positive_micro_of
from credit_sdk.answers import Page
from credit_sdk.answers_of_cards import PaymentIntent, PortalSession, SavedMethod, SetupIntent, TopUp
from credit_sdk.requests import Request, given, new_key, nothing, one, page, segment


def create_payment_intent(
    price: str | None = None,
    *,
    quantity: int | None = None,
    amount_minor: int | None = None,
    currency: str | None = None,
    save_payment_method: bool | None = None,
    user_id: int | None = None,
    idempotency_key: str | None = None,
) -> Request[PaymentIntent]:
    """Start a payment for the payment form: a ``price``, or ``amount_minor`` and ``currency`` at the service's rate.

    Raises:
        PriceNotFoundError: there is no such price, or not in this currency.
        AmountNotSoldError: an amount alone, and the service has no rate for its currency.
        StripeUnavailableError: Stripe is away; nothing was charged.
    """
    return Request(
        method="POST",
        path="/v1/payment-intents",
        read=one(PaymentIntent),
        body=given(
            price=price,
            quantity=quantity,
            amount_minor=amount_minor,
            currency=currency,
            save_payment_method=save_payment_method,
            user_id=user_id,
        ),
        key=idempotency_key or new_key(),
    )


def payment_intent(payment_intent_id: str) -> Request[PaymentIntent]:
    """A payment as it is now; the service asks Stripe first.

    Raises:
        PaymentIntentNotFoundError: there is none, or it is not the caller's.
    """
    path = f"/v1/payment-intents/{segment(payment_intent_id)}"
    return Request(method="GET", path=path, read=one(PaymentIntent))


def complete_payment_intent(
    payment_intent_id: str, *, return_url: str | None = None, idempotency_key: str | None = None
) -> Request[PaymentIntent]:
    """Charge a top-up whose bank wants to see the customer; send them to ``redirect_url``.

    Raises:
        PaymentIntentNotFoundError: there is none, or it is not the caller's.
    """
    return Request(
        method="POST",
        path=f"/v1/payment-intents/{segment(payment_intent_id)}/complete",
        read=one(PaymentIntent),
        body=given(return_url=return_url),
        key=idempotency_key or new_key(),
    )


def create_setup_intent(
    *, user_id: int | None = None, idempotency_key: str | None = None
) -> Request[SetupIntent]:
    """A form in which a customer saves a card for later charges.

    Raises:
        StripeUnavailableError: Stripe is away.
    """
    return Request(
        method="POST",
        path="/v1/setup-intents",
        read=one(SetupIntent),
        body=given(user_id=user_id),
        key=idempotency_key or new_key(),
    )


def payment_methods(*, user_id: int | None = None) -> Request[Page[SavedMethod]]:
    """What a customer saved, newest first."""
    query = given(user_id=user_id)
    return Request(method="GET", path="/v1/payment-methods", read=page(SavedMethod), query=query)


def set_default_payment_method(
    payment_method: str, *, user_id: int | None = None
) -> Request[Page[SavedMethod]]:
    """Charge this one first; an auto top-up that stopped because of the card goes on.

    Raises:
        PaymentMethodNotFoundError: the customer has none of this id.
    """
    return Request(
        method="PUT",
        path="/v1/payment-methods/default",
        read=page(SavedMethod),
        body={"payment_method": payment_method, **given(user_id=user_id)},
    )


def remove_payment_method(payment_method: str, *, user_id: int | None = None) -> Request[None]:
    """Remove a saved card: it can never be charged again.

    Raises:
        PaymentMethodNotFoundError: the customer has none of this id.
    """
    return Request(
        method="DELETE",
        path=f"/v1/payment-methods/{segment(payment_method)}",
        read=nothing,
        query=given(user_id=user_id),
    )


def set_top_up(
    *,
    threshold: Amount,
    monthly_cap_minor: int,
    price: str | None = None,
    quantity: int | None = None,
    credits: Amount | None = None,
    currency: str | None = None,
    enabled: bool | None = None,
    user_id: int | None = None,
) -> Request[TopUp]:
    """Below ``threshold`` credits buy a pack (``price``), or ``credits`` at the service's rate, by itself.

    Raises:
        PriceNotFoundError: there is no such pack in this currency.
        AmountNotSoldError: credits at a rate, and the service has none.
    """
    return Request(
        method="PUT",
        path="/v1/top-up",
        read=one(TopUp),
        body={
            "threshold_micro": positive_micro_of(threshold),
            "monthly_cap_minor": monthly_cap_minor,
            **given(
                price=price,
                quantity=quantity,
                credits_micro=None if credits is None else positive_micro_of(credits),
                currency=currency,
                enabled=enabled,
                user_id=user_id,
            ),
        },
    )


def top_up(*, user_id: int | None = None) -> Request[TopUp]:
    """The rule for auto top-up, and how it stands.

    Raises:
        TopUpRuleNotFoundError: there is none.
    """
    return Request(method="GET", path="/v1/top-up", read=one(TopUp), query=given(user_id=user_id))


def end_top_up(*, user_id: int | None = None) -> Request[None]:
    """Charge nothing by itself any more.

    Raises:
        TopUpRuleNotFoundError: there is none.
    """
    return Request(method="DELETE", path="/v1/top-up", read=nothing, query=given(user_id=user_id))


def top_up_charges(
    *, user_id: int | None = None, limit: int | None = None, after: str | None = None
) -> Request[Page[PaymentIntent]]:
    """What auto top-up charged, newest first; ``after`` is the ``next_cursor`` of the page before."""
    return Request(
        method="GET",
        path="/v1/top-up/charges",
        read=page(PaymentIntent),
        query=given(user_id=user_id, limit=limit, after=after),
    )


def create_portal_session(
    *, return_url: str | None = None, user_id: int | None = None, idempotency_key: str | None = None
) -> Request[PortalSession]:
    """A link into Stripe's customer portal.

    Raises:
        UrlNotAllowedError: the return URL is on a foreign domain.
    """
    return Request(
        method="POST",
        path="/v1/portal-sessions",
        read=one(PortalSession),
        body=given(return_url=return_url, user_id=user_id),
        key=idempotency_key or new_key(),
    )

"""The requests of products and checkouts: method, path, body and answer, said once (see ``requests.py``)."""

from __future__ import annotations

from typing import Literal

from credit_sdk.answers import Checkout, Page, Product
from credit_sdk.requests import Request, given, new_key, one, page, segment


def products() -> Request[Page[Product]]:
    """What can be bought; needs neither a key nor a session."""
    return Request(method="GET", path="/v1/products", read=page(Product))


def create_checkout(
    price: str,
    *,
    success_url: str,
    cancel_url: str,
    quantity: int | None = None,
    mode: Literal["payment", "subscription"] | None = None,
    currency: str | None = None,
    user_id: int | None = None,
    idempotency_key: str | None = None,
) -> Request[Checkout]:
    """Open a purchase; ``price`` is a lookup key (``package_starter``) or a Stripe price id.

    ``currency`` is another one than the product's own that it has a price in.

    Raises:
        PriceNotFoundError: there is no such price. UrlNotAllowedError: a return URL is on a foreign
            domain.
        StripeUnavailableError: Stripe is away; nothing was charged.
    """
    return Request(
        method="POST",
        path="/v1/checkouts",
        read=one(Checkout),
        body={
            "price": price,
            "success_url": success_url,
            "cancel_url": cancel_url,
            **given(quantity=quantity, mode=mode, currency=currency, user_id=user_id),
        },
        key=idempotency_key or new_key(),
    )


def checkout(checkout_id: str) -> Request[Checkout]:
    """A purchase as it is now, by its id.

    Raises:
        CheckoutNotFoundError: there is none, or it is not the caller's.
    """
    return Request(method="GET", path=f"/v1/checkouts/{segment(checkout_id)}", read=one(Checkout))

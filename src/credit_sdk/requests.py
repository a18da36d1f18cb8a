"""What a request is, and those of wallets, transfers and holds: method, path, body, answer, said once.

Nothing is sent here. ``clients.py`` derives the calls of both clients from these functions, so
their signatures and docstrings are those of the calls. Identity and checkouts have their own
modules beside this one.

``user`` is a user's integer id, a wallet id (``wal_12``), or None for the user whose session token
the client holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote
from uuid import uuid4

from credit_sdk.amounts import Amount, micro_of, positive_micro_of
from credit_sdk.answers import (
    Hold,
    Page,
    PlacedHold,
    PostedTransfer,
    SettledHold,
    Transfer,
    Wallet,
)
from credit_sdk.decoding import decode, decode_each

T = TypeVar("T")
Target = int | str | None
"""Whose credits: a user's id, a wallet id, or None for the signed-in user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Generic[T]):
    """One request: what to send, and how its answer is read.

    ``key`` is the idempotency key, the same for each attempt. Without ``repeatable`` a second
    attempt could do harm, so there is none. ``resume`` is the token of this request's refusal.
    """

    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    read: Callable[[Any], T]
    query: Mapping[str, str | int] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    key: str | None = None
    resume: str | None = None
    repeatable: bool = True


def new_key() -> str:
    """A fresh idempotency key."""
    return f"sdk_{uuid4().hex}"


def given(**values: Any) -> dict[str, Any]:
    """The values that were given: those that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def segment(text: str) -> str:
    """Text as one segment of a path, whatever it contains."""
    return quote(text, safe="")


def one(kind: type[T]) -> Callable[[Any], T]:
    """Reads an answer that is one object."""
    return lambda value: decode(kind, value)


def page(kind: type[T]) -> Callable[[Any], Page[T]]:
    """Reads an answer that is a page of objects."""
    return lambda value: decode_each(Page, kind, value)


def nothing(_: Any) -> None:
    """Reads an answer that has no body."""


def _owner(user: Target) -> dict[str, int | str]:
    if user is None:
        return {}
    if isinstance(user, str):
        return {"wallet": user}
    return {"user_id": user}


def wallet(wallet_id: str) -> Request[Wallet]:
    """A wallet as it is now, by its id.

    Raises:
        WalletNotFoundError: there is none, or it is not the caller's.
    """
    return Request(method="GET", path=f"/v1/wallets/{segment(wallet_id)}", read=one(Wallet))


def wallets(user_id: int | None = None) -> Request[Page[Wallet]]:
    """The default wallet of a user (of the signed-in user without ``user_id``), as a page.

    Raises:
        UserNotFoundError: there is no such user.
    """
    return Request(method="GET", path="/v1/wallets", read=page(Wallet), query=given(user_id=user_id))


def history(
    wallet_id: str, *, limit: int | None = None, after: str | int | None = None
) -> Request[Page[Transfer]]:
    """A wallet's transfers, newest first; ``after`` is the ``next_cursor`` of the page before."""
    return Request(
        method="GET",
        path=f"/v1/wallets/{segment(wallet_id)}/transfers",
        read=page(Transfer),
        query=given(limit=limit, after=after),
    )


def _post(kind: str, user: Target, amount_micro: int, **note: Any) -> Request[PostedTransfer]:
    key, resume = note.pop("idempotency_key") or new_key(), note.pop("resume", None)
    return Request(
        method="POST",
        path="/v1/transfers",
        read=one(PostedTransfer),
        body={**_owner(user), "type": kind, "amount_micro": amount_micro, **given(**note)},
        key=key,
        resume=resume,
    )


def spend(
    user: Target,
    credits: Amount,
    *,
    description: str | None = None,
    service: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
    resume: str | None = None,
) -> Request[PostedTransfer]:
    """Spend credits at once, at a cost known beforehand.

    ``resume`` (the error's ``resume_token``) goes on with a spend that was refused and then paid for: give all
    else, the ``idempotency_key`` too, as it was.

    Raises:
        InsufficientCreditsError: not enough; nothing was taken.
        IdempotencyKeyReusedError: the key was used for other terms.
    """
    return _post(
        "spend",
        user,
        positive_micro_of(credits),
        description=description,
        service=service,
        metadata=metadata,
        idempotency_key=idempotency_key,
        resume=resume,
    )


def grant(
    user: Target,
    credits: Amount,
    *,
    description: str | None = None,
    service: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
) -> Request[PostedTransfer]:
    """Add credits; needs an API key of an app with ``grant_credits``, or an admin's session.

    Raises:
        PermissionDeniedError: the caller may not add credits.
    """
    return _post(
        "grant",
        user,
        positive_micro_of(credits),
        description=description,
        service=service,
        metadata=metadata,
        idempotency_key=idempotency_key,
    )


def transfer(transfer_id: str) -> Request[Transfer]:
    """One line of a wallet's history, by its id."""
    return Request(method="GET", path=f"/v1/transfers/{segment(transfer_id)}", read=one(Transfer))


def place(
    user: Target,
    credits: Amount,
    *,
    lifetime_seconds: int | None = None,
    on_expiry: Literal["release", "capture_estimate", "capture_maximum"] | None = None,
    estimate: Amount | None = None,
    description: str | None = None,
    service: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
    resume: str | None = None,
) -> Request[PlacedHold]:
    """Set credits aside before work of unknown cost; ``resume`` as for ``transfers.spend``.

    ``estimate`` (credits) is what the policy ``capture_estimate`` takes when the hold is left behind.

    Raises:
        InsufficientCreditsError: not enough; nothing was set aside.
    """
    return Request(
        method="POST",
        path="/v1/holds",
        read=one(PlacedHold),
        body={
            **_owner(user),
            "amount_micro": positive_micro_of(credits),
            **given(
                lifetime_seconds=lifetime_seconds,
                on_expiry=on_expiry,
                estimate_micro=None if estimate is None else micro_of(estimate),
                description=description,
                service=service,
                metadata=metadata,
            ),
        },
        key=idempotency_key or new_key(),
        resume=resume,
    )


def hold(hold_id: str) -> Request[Hold]:
    """A hold as it is now, by its id.

    Raises:
        HoldNotFoundError: there is none, or it is another app's.
    """
    return Request(method="GET", path=f"/v1/holds/{segment(hold_id)}", read=one(Hold))


def capture(
    hold_id: str,
    credits: Amount,
    *,
    final: bool = True,
    description: str | None = None,
    idempotency_key: str | None = None,
) -> Request[SettledHold]:
    """Take what the work cost; if final, the rest is available again.

    Raises:
        CaptureExceedsHoldError: more than is left of the hold.
        HoldSettledError: nothing is left of it.
    """
    return Request(
        method="POST",
        path=f"/v1/holds/{segment(hold_id)}/capture",
        read=one(SettledHold),
        body={
            "amount_micro": micro_of(credits),
            "final": final,
            **given(description=description),
        },
        key=idempotency_key or new_key(),
    )


def release(
    hold_id: str, *, description: str | None = None, idempotency_key: str | None = None
) -> Request[SettledHold]:
    """Give back all that is left of a hold.

    Raises:
        HoldSettledError: nothing is left of it.
    """
    return Request(
        method="POST",
        path=f"/v1/holds/{segment(hold_id)}/release",
        read=one(SettledHold),
        body=given(description=description),
        key=idempotency_key or new_key(),
    )

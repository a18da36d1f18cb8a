"""What a request is, and those of wallets and transfers: method, path, body, answer, said once.

Nothing is sent here. ``clients.py`` derives the calls of both clients from these functions, so
their signatures and docstrings are those of the calls. Holds, batches, budgets, identity and
checkouts have their own modules beside this one.

``user`` is a user's integer id, a wallet id (``wal_12``), or None for the user whose session token
the client holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote
from uuid import uuid4

from credit_sdk.amounts import Amount, positive_micro_of
from credit_sdk.answers import Lot, Page, PostedTransfer, Transfer, Wallet
from credit_sdk.decoding import decode, decode_each

T = TypeVar("T")
PROBLEM_MEMBERS = frozenset({"type", "title", "status", "detail", "instance", "code"})
"""What every refusal has on the wire; the rest are its facts."""
Target = int | str | None
"""Whose credits: a user's id, a wallet id, or None for the signed-in user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Generic[T]):
    """One request: what to send, and how its answer is read.

    ``key`` is the idempotency key, the same for each attempt. Without ``repeatable`` a second
    attempt could do harm, so there is none. ``resume`` is the token of this request's refusal.
    ``coverable``: a spend that a client which fails open may take from its lease while the service
    is away.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    read: Callable[[Any], T]
    query: Mapping[str, str | int] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    key: str | None = None
    resume: str | None = None
    repeatable: bool = True
    coverable: bool = False


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


def owner(user: Target) -> dict[str, int | str]:
    """How a body or a query says whose credits are meant."""
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


def lots(wallet_id: str, *, limit: int | None = None, after: str | int | None = None) -> Request[Page[Lot]]:
    """A wallet's lots in the order in which they burn: what arrived together, and what is left of it."""
    return Request(
        method="GET",
        path=f"/v1/wallets/{segment(wallet_id)}/lots",
        read=page(Lot),
        query=given(limit=limit, after=after),
    )


def _post(kind: str, user: Target, amount_micro: int, **note: Any) -> Request[PostedTransfer]:
    key, resume = note.pop("idempotency_key") or new_key(), note.pop("resume", None)
    return Request(
        method="POST",
        path="/v1/transfers",
        read=one(PostedTransfer),
        body={**owner(user), "type": kind, "amount_micro": amount_micro, **given(**note)},
        key=key,
        resume=resume,
        # A lease settles later under the key alone, which was refused for good: what is resumed needs the service.
        coverable=kind == "spend" and resume is None,
    )


def spend(
    user: Target,
    credits: Amount,
    *,
    budget: str | None = None,
    description: str | None = None,
    service: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
    resume: str | None = None,
) -> Request[PostedTransfer]:
    """Spend credits at once, at a cost known beforehand; ``budget`` (``bud_1``) and all above it must allow it.

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
        budget=budget,
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


def give_back(
    transfer_id: str, amount: Amount | None = None, *, idempotency_key: str | None = None
) -> Request[PostedTransfer]:
    """Give credits of a spend or a capture back, to the lots that they were burned from.

    Without ``amount`` (credits): all that was not yet given back.

    Raises:
        WalletNotFoundError: there is no such transfer, or it is not the caller's.
    """
    return Request(
        method="POST",
        path=f"/v1/transfers/{segment(transfer_id)}/give-back",
        read=one(PostedTransfer),
        body=given(amount_micro=None if amount is None else positive_micro_of(amount)),
        key=idempotency_key or new_key(),
    )

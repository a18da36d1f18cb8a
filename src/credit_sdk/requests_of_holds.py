"""The requests of holds: method, path, body and answer, said once (see ``requests.py``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from credit_sdk.amounts import Amount, micro_of, positive_micro_of
from credit_sdk.answers import Hold, HoldToken, Page, PlacedHold, SettledHold
from credit_sdk.requests import Request, Target, given, new_key, one, owner, page, segment


def _path(hold_id: str, *rest: str) -> str:
    return "/".join(["/v1/holds", segment(hold_id), *rest])


def place(
    user: Target,
    credits: Amount,
    *,
    lifetime_seconds: int | None = None,
    on_expiry: Literal["release", "capture_estimate", "capture_maximum"] | None = None,
    estimate: Amount | None = None,
    parent: str | None = None,
    budget: str | None = None,
    description: str | None = None,
    service: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
    resume: str | None = None,
) -> Request[PlacedHold]:
    """Set credits aside before work of unknown cost; ``resume`` as for ``transfers.spend``.

    ``estimate`` (credits) is what the policy ``capture_estimate`` takes when the hold is left
    behind. With ``parent`` (``hld_…``) the credits come out of that hold. A client with a
    ``hold_token`` gives None for the user: its credits come out of the token's hold.

    Raises:
        InsufficientCreditsError: not enough; nothing was set aside.
        CaptureExceedsHoldError: the parent has less left.
    """
    return Request(
        method="POST",
        path="/v1/holds",
        read=one(PlacedHold),
        body={
            **owner(user),
            "amount_micro": positive_micro_of(credits),
            **given(
                lifetime_seconds=lifetime_seconds,
                on_expiry=on_expiry,
                estimate_micro=None if estimate is None else micro_of(estimate),
                parent=parent,
                budget=budget,
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
    return Request(method="GET", path=_path(hold_id), read=one(Hold))


def holds(
    user: Target = None,
    *,
    status: Literal["open", "left_behind", "settled", "all"] | None = None,
    limit: int | None = None,
    after: str | int | None = None,
) -> Request[Page[Hold]]:
    """Holds of a wallet, newest first; ``left_behind``: settled by their policy, since nobody did in time."""
    return Request(
        method="GET",
        path="/v1/holds",
        read=page(Hold),
        query={**owner(user), **given(status=status, limit=limit, after=after)},
    )


def extend(hold_id: str, lifetime_seconds: int, *, idempotency_key: str | None = None) -> Request[Hold]:
    """Let a hold live at least so many seconds from now; it never becomes shorter.

    Raises:
        HoldSettledError: it is over.
    """
    return Request(
        method="POST",
        path=_path(hold_id, "extend"),
        read=one(Hold),
        body={"lifetime_seconds": lifetime_seconds},
        key=idempotency_key or new_key(),
    )


def hand_on(
    hold_id: str, *, lifetime_seconds: int | None = None, idempotency_key: str | None = None
) -> Request[HoldToken]:
    """A token of a hold, for a sub-agent: whoever carries it holds out of it, and nothing else.

    It counts until the hold is settled, or for ``lifetime_seconds`` if that is shorter. The same key gives a
    token that reaches the same sub-holds: ask again with it after the hold was extended.

    Raises:
        HoldSettledError: it is over. PermissionDeniedError: this client has but a token itself.
    """
    return Request(
        method="POST",
        path=_path(hold_id, "tokens"),
        read=one(HoldToken),
        body=given(lifetime_seconds=lifetime_seconds),
        key=idempotency_key or new_key(),
    )


def capture(
    hold_id: str,
    credits: Amount,
    *,
    final: bool = True,
    allow_excess: bool = False,
    description: str | None = None,
    service: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
) -> Request[SettledHold]:
    """Take what the work cost; if final, the rest is available again.

    With ``allow_excess`` (the app needs ``exceed_holds``) what is above the hold is spent from what
    is available, in the same transaction.

    Raises:
        CaptureExceedsHoldError: more than is left of the hold.
        HoldSettledError: nothing is left of it.
        InsufficientCreditsError: with ``allow_excess``, not enough beside it; nothing was taken.
    """
    return Request(
        method="POST",
        path=_path(hold_id, "capture"),
        read=one(SettledHold),
        body={
            "amount_micro": micro_of(credits),
            "final": final,
            **given(
                allow_excess=allow_excess or None,
                description=description,
                service=service,
                metadata=metadata,
            ),
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
        path=_path(hold_id, "release"),
        read=one(SettledHold),
        body=given(description=description),
        key=idempotency_key or new_key(),
    )

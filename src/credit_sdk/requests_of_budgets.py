"""The requests of budgets and caps: method, path, body and answer, said once (see ``requests.py``)."""

from __future__ import annotations

from typing import Literal

from credit_sdk.amounts import Amount, micro_of
from credit_sdk.answers import Page
from credit_sdk.answers_of_budgets import Budget
from credit_sdk.requests import Request, Target, given, new_key, one, owner, page, segment

Period = Literal["none", "day", "week", "month"]


def create_budget(
    user: Target,
    name: str,
    *,
    kind: str | None = None,
    parent: str | None = None,
    limit: Amount | None = None,
    period: Period | None = None,
    idempotency_key: str | None = None,
) -> Request[Budget]:
    """A node in the tree of budgets of a wallet, below ``parent`` (``bud_…``) or at the top.

    ``limit`` (credits) None: it only counts. ``kind`` is free text: team, member, key, run.
    """
    return Request(
        method="POST",
        path="/v1/budgets",
        read=one(Budget),
        body={
            **owner(user),
            "name": name,
            **given(
                kind=kind,
                parent=parent,
                limit_micro=None if limit is None else micro_of(limit),
                period=period,
            ),
        },
        key=idempotency_key or new_key(),
    )


def budgets(
    user: Target = None, *, limit: int | None = None, after: str | int | None = None
) -> Request[Page[Budget]]:
    """The budgets of a wallet, each with what is used of it."""
    return Request(
        method="GET",
        path="/v1/budgets",
        read=page(Budget),
        query={**owner(user), **given(limit=limit, after=after)},
    )


def budget(budget_id: str) -> Request[Budget]:
    """A budget as it is now, by its id.

    Raises:
        NotFoundError: there is none, or it is not the caller's.
    """
    return Request(method="GET", path=f"/v1/budgets/{segment(budget_id)}", read=one(Budget))


def update_budget(budget_id: str, *, limit: Amount | None) -> Request[Budget]:
    """Set the limit of a budget (credits); None takes it away."""
    return Request(
        method="PATCH",
        path=f"/v1/budgets/{segment(budget_id)}",
        read=one(Budget),
        body={"limit_micro": None if limit is None else micro_of(limit)},
    )


def set_cap(app_id: str, limit: Amount | None) -> Request[Budget]:
    """How many credits of the signed-in user an app may spend in a month; None: as many as there are."""
    return Request(
        method="PUT",
        path="/v1/caps",
        read=one(Budget),
        body={"app_id": app_id, "limit_micro": None if limit is None else micro_of(limit)},
    )


def caps() -> Request[Page[Budget]]:
    """The signed-in user's caps, with what each app has used this month."""
    return Request(method="GET", path="/v1/caps", read=page(Budget))

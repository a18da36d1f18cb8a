"""The requests of reconciliations, which need an admin's session: method, path, body and answer, said once."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from credit_sdk.answers import Page
from credit_sdk.answers_of_reconciliations import Finding, Reconciliation
from credit_sdk.requests import Request, given, one, page, segment

_PATH = "/v1/reconciliations"


def ask(
    *, apply: bool | None = None, since: datetime | None = None, until: datetime | None = None
) -> Request[Reconciliation]:
    """Have a worker compare Stripe with the books; ``get`` it until its ``status`` is ``done``.

    Without ``apply`` it only looks. Times are aware; without them it goes on from where the last one ended. When no
    answer comes it is not asked again: ``list`` says whether it is there.

    Raises:
        AdminRequiredError: the caller is none.
    """
    times = {"since": since, "until": until}
    texts = {name: at.isoformat() for name, at in times.items() if at is not None}
    return Request(
        method="POST",
        path=_PATH,
        read=one(Reconciliation),
        body={**given(apply=apply), **texts},
        repeatable=False,
    )


def reconciliation(reconciliation_id: str) -> Request[Reconciliation]:
    """A reconciliation as it is now.

    Raises:
        CreditError: there is none (``not_found``).
    """
    return Request(method="GET", path=f"{_PATH}/{segment(reconciliation_id)}", read=one(Reconciliation))


def reconciliations(
    *, limit: int | None = None, after: str | int | None = None
) -> Request[Page[Reconciliation]]:
    """The last ones, newest first; ``after`` is the ``next_cursor`` of the page before."""
    return Request(method="GET", path=_PATH, read=page(Reconciliation), query=given(limit=limit, after=after))


def findings(
    *,
    status: Literal["open", "repaired", "gone", "acknowledged"] | None = None,
    code: str | None = None,
    severity: Literal["difference", "notice"] | None = None,
    limit: int | None = None,
    after: str | int | None = None,
) -> Request[Page[Finding]]:
    """What differs, newest first: what is open, unless ``status`` says otherwise."""
    return Request(
        method="GET",
        path=f"{_PATH}/findings",
        read=page(Finding),
        query=given(status=status, code=code, severity=severity, limit=limit, after=after),
    )


def acknowledge(finding_id: str, reason: str) -> Request[Finding]:
    """Let a difference stay as it is; it is opened again when what differs changes.

    Raises:
        CreditError: there is none, or it is gone or repaired (``not_found``).
    """
    return Request(
        method="POST",
        path=f"{_PATH}/findings/{segment(finding_id)}/acknowledge",
        read=one(Finding),
        body={"reason": reason},
    )

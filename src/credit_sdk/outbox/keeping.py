"""Keeping leases: placed when somebody spends, extended while they do, replaced when drained, given back when over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from credit_sdk.answers import Hold, PlacedHold, SettledHold
from credit_sdk.errors import CreditError
from credit_sdk.outbox.leases import Act, Task
from credit_sdk.outbox.rows import Lease
from credit_sdk.outbox.steps import Books, Local, Steps, is_later, log
from credit_sdk.requests import Request, given, one, segment


def keep(books: Books, holder: str, budget: str | None, *, used: bool) -> Steps[None]:
    """Do what a holder's lease needs. It never raises what the service or the disk says: a lease is a precaution."""
    try:
        yield from _look_after(books, holder, budget, used=used)
        yield from give_back(books)
    except CreditError as problem:
        log.info("The lease of %s could not be looked after: %s", holder, problem)


def keep_all(books: Books) -> Steps[None]:
    """The same for all who spent lately; those who did not get their credits back.

    Raises:
        CreditError: the service is away, or the outbox cannot be used.
    """
    for holder, budget in (yield Local(books.leases.active)):
        yield from _look_after(books, holder, budget, used=False)
    yield from give_back(books)


def _look_after(books: Books, holder: str, budget: str | None, *, used: bool) -> Steps[None]:
    # Twice, since a lease that could not be extended is replaced.
    for _ in range(2):
        task: Task | None = yield Local(partial(books.leases.due, holder, budget, used=used))
        if task is None or not (yield from _do(books, task)):
            return


def give_back(books: Books) -> Steps[None]:
    """Release what is left of leases that are over, once their lines are settled.

    Raises:
        CreditError: the service is away.
    """
    while True:
        task: Task | None = yield Local(books.leases.next_retired)
        if task is None:
            return
        yield from _do(books, task)


def _do(books: Books, task: Task) -> Steps[bool]:
    """Ask for what a task says; whether something more may follow from the answer."""
    lease = task.lease
    try:
        answer = yield from books.ask(_request(task, books.terms.lifetime_seconds))
    except CreditError as problem:
        if is_later(problem):
            yield Local(partial(books.leases.put_back, lease))
            raise
        return (yield from _refused(books, task, problem))
    match task.act:
        case Act.PLACE:
            yield Local(partial(books.leases.opened, lease, answer))
        case Act.EXTEND:
            yield Local(partial(books.leases.extended, task))
        case Act.RELEASE:
            yield Local(partial(books.leases.ended, lease))
    return False


def _refused(books: Books, task: Task, problem: CreditError) -> Steps[bool]:
    match task.act:
        case Act.PLACE:
            log.info("No lease for %s: %s", task.lease.holder, problem)
            yield Local(partial(books.leases.refused, task.lease))
        case Act.EXTEND:
            # It is over, or this service cannot extend: another one is placed.
            yield Local(partial(books.leases.retired, task.lease))
            return True
        case Act.RELEASE:
            yield Local(partial(books.leases.ended, task.lease))
    return False


def _request(task: Task, lifetime_seconds: int) -> Request[Any]:
    lease = task.lease
    match task.act:
        case Act.PLACE:
            body: Mapping[str, Any] = {
                **json.loads(lease.holder),
                "amount_micro": lease.amount_micro,
                "lifetime_seconds": lifetime_seconds,
                # What was not used is never charged, whoever dies.
                "on_expiry": "release",
                **given(budget=lease.budget),
                "description": "Lease for when the service is away",
            }
            return _post("/v1/holds", one(PlacedHold), body, lease.key)
        case Act.EXTEND:
            path = f"{_path(lease)}/extend"
            return _post(path, one(Hold), {"lifetime_seconds": lifetime_seconds}, f"{lease.key}.{task.at}")
        case Act.RELEASE:
            return _post(f"{_path(lease)}/release", one(SettledHold), {}, f"{lease.key}.release")


def _post(path: str, read: Any, body: Mapping[str, Any], key: str) -> Request[Any]:
    return Request(method="POST", path=path, read=read, body=body, key=key)


def _path(lease: Lease) -> str:
    assert lease.hold is not None
    return f"/v1/holds/{segment(lease.hold)}"

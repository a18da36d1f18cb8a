"""A spend of a client that fails open: asked of the service, and taken from the lease when that is away."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

from credit_sdk.answers import PostedTransfer
from credit_sdk.decoding import decode
from credit_sdk.errors import (
    CreditError,
    IdempotencyKeyReusedError,
    LeaseExhaustedError,
    refusal,
)
from credit_sdk.outbox import keeping, settling
from credit_sdk.outbox.ladder import SHORT, Step
from credit_sdk.outbox.rows import Lease, OutboxSpend, State, canonical, holder_of
from credit_sdk.outbox.steps import Books, Local, Steps, is_away
from credit_sdk.requests import Request


def spend(books: Books, request: Request[Any]) -> Steps[Any]:
    """The answer of the service, or a yes that is on disk.

    Raises:
        LeaseExhaustedError: away, and no lease covers it: nothing was booked and nothing will be.
        ServiceUnreachableError: away, its outcome unknown, and no lease covers it.
        CreditError: as without a lease, when the service says no.
    """
    assert request.body is not None
    assert request.key is not None
    holder = holder_of(request.body)
    assert holder is not None
    known: OutboxSpend | None = yield Local(partial(books.spends.find, holder, request.key))
    if known is not None:
        return (yield from _known(books, known, request))
    problem: CreditError | None = None
    if books.gate.may_ask():
        try:
            answer = yield from books.ask(request)
        except CreditError as caught:
            if caught.code in SHORT:
                return (yield from _from_lease_when_short(books, holder, request, caught))
            if not is_away(caught):
                raise
            problem = caught
        else:
            yield from keeping.keep(books, holder, request.body.get("budget"), used=True)
            return answer
    return (yield from _from_lease_when_away(books, holder, request, problem))


def _from_lease_when_away(
    books: Books, holder: str, request: Request[Any], problem: CreditError | None
) -> Steps[PostedTransfer]:
    """Accept it here. What may have reached the service is settled by asking for it again, the rest by a capture."""
    asked = problem is not None and problem.may_have_acted
    step = Step.SPEND if asked else Step.CAPTURE
    try:
        found, new = yield Local(
            partial(books.spends.accept, holder, request.key or "", request.body or {}, step)
        )
    except LeaseExhaustedError as exhausted:
        if asked and problem is not None:
            problem.facts["lease"] = exhausted.facts
            raise problem from exhausted
        exhausted.idempotency_key = request.key
        raise exhausted from problem
    if not new:
        return (yield from _known(books, found, request))
    return (yield from _accepted(books, found))


def _from_lease_when_short(
    books: Books, holder: str, request: Request[Any], short: CreditError
) -> Steps[PostedTransfer]:
    """The wallet or a budget is short, perhaps because of our own lease: then it is taken from there, at once.

    Without this a customer could not spend their last credits. Nobody was told yes yet: if it cannot be booked, the
    answer is no, and stays no under this key.
    """
    key, body = request.key or "", request.body or {}
    try:
        found, new = yield Local(
            partial(books.spends.accept, holder, key, body, Step.CAPTURE_SECOND, mine=True)
        )
    except LeaseExhaustedError:
        yield Local(partial(books.spends.refuse, holder, key, body, short))
        raise short from None
    if not new:
        return (yield from _known(books, found, request))
    try:
        found = yield from settling.climb(books, found)
    except CreditError:
        return (yield from _accepted(books, found))
    if found.state is State.UNCOLLECTED:
        yield Local(partial(books.spends.withdraw, found, short))
        raise short
    yield from keeping.keep(books, holder, body.get("budget"), used=True)
    return (yield from _accepted(books, found))


def _known(books: Books, known: OutboxSpend, request: Request[Any]) -> Steps[PostedTransfer]:
    """The first answer to a key, from the outbox; a refusal from the service, which has newer offers to it.

    Raises:
        IdempotencyKeyReusedError: it had other terms.
        InsufficientCreditsError, BudgetExceededError: it was refused.
    """
    if canonical(known.body) != canonical(request.body or {}):
        reused = IdempotencyKeyReusedError(facts={"outbox_line": known.id})
        reused.idempotency_key = request.key
        raise reused
    if known.state is State.REFUSED:
        short = refusal(known.problem or SHORT[0], status=402, facts=known.facts)
        short.idempotency_key = request.key
        if not books.gate.may_ask():
            raise short
        try:
            answer: PostedTransfer = yield from books.ask(request)
        except CreditError as problem:
            raise short if is_away(problem) else problem from None
        return answer
    answer = yield from _accepted(books, known)
    return dataclasses.replace(answer, replayed=True)


def _accepted(books: Books, found: OutboxSpend) -> Steps[PostedTransfer]:
    """A line as the answer to its spend."""
    if found.answer is not None:
        return decode(PostedTransfer, found.answer)
    lease: Lease | None = yield Local(partial(books.leases.lease_of, found.id))
    assert lease is not None
    return decode(
        PostedTransfer,
        {
            "id": f"outbox_{found.id}",
            "wallet": lease.wallet,
            "kind": "spend",
            "amount_micro": found.amount_micro,
            "wallet_after": lease.balances,
            "created_at": found.created_at.isoformat(),
            "pending": True,
        },
    )

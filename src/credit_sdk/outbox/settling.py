"""Settling the outbox: each line climbs the ladder until the service has booked it, or never will."""

from __future__ import annotations

from functools import partial

from credit_sdk.errors import CreditError
from credit_sdk.outbox import ladder
from credit_sdk.outbox.rows import OutboxSpend, Settlement, State
from credit_sdk.outbox.steps import Books, Local, Steps, is_later, log


def settle(books: Books) -> Steps[Settlement]:
    """One round over all that is pending, oldest first; it ends early when the service is away."""
    collected = uncollected = at = 0
    while True:
        spend: OutboxSpend | None = yield Local(partial(books.spends.claim_next, at))
        if spend is None:
            break
        at = spend.id
        try:
            spend = yield from climb(books, spend)
        except CreditError as problem:
            log.info("The outbox waits for the service: %s", problem)
            break
        collected += spend.state is State.COLLECTED
        uncollected += spend.state is State.UNCOLLECTED
    yield from tell(books)
    yield Local(books.spends.tidy)
    pending: int = yield Local(partial(books.spends.count, State.PENDING))
    return Settlement(collected=collected, uncollected=uncollected, pending=pending)


def climb(books: Books, spend: OutboxSpend) -> Steps[OutboxSpend]:
    """Take a line as far as it goes; a line that is still pending waits for what only people can change.

    Raises:
        CreditError: the service is away; the line stays at its step.
    """
    while spend.state is State.PENDING:
        request = ladder.request_of(spend.step, hold=spend.hold, key=spend.key, body=spend.body)
        try:
            answer = yield from books.ask(request)
        except CreditError as problem:
            turn = ladder.after(spend.step, problem.code)
            if turn is None:
                spend = yield Local(partial(books.spends.put_back, spend, problem))
                if is_later(problem):
                    raise
                log.warning("Outbox line %s (key %s) cannot be settled yet: %s", spend.id, spend.key, problem)
                return spend
            spend = yield Local(partial(books.spends.step_on, spend, turn, problem))
        else:
            spend = yield Local(partial(books.spends.collected, spend, answer))
    return spend


def tell(books: Books) -> Steps[None]:
    """Tell of what could not be collected: in the log, and to the app; again next time if it could not listen."""
    for spend in (yield Local(books.spends.untold)):
        log.error(
            "%s micro-credits (key %s) were accepted while the service was away and cannot be collected: %s",
            spend.amount_micro,
            spend.key,
            spend.problem,
        )
        if books.terms.on_uncollected is not None:
            try:
                yield Local(partial(books.terms.on_uncollected, spend))
            except Exception:  # noqa: BLE001 - the app's own code: whatever it raises, settling goes on
                log.exception("on_uncollected failed; it is told again at the next settling")
                continue
        yield Local(partial(books.spends.told, spend))

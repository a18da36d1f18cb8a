"""When to try again and how long to wait: the same rule for HTTP (sync and async) and for direct SQL.

An error says itself whether it is worth another attempt (``CreditError.retryable``); every attempt
of one call carries the same idempotency key, so none of them acts twice.
"""

from __future__ import annotations

from dataclasses import dataclass

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_exponential,
    wait_random,
)

from credit_sdk.errors import CreditError

_BACKOFF = wait_exponential(multiplier=0.2, max=5) + wait_random(0, 0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryLimits:
    """How long a call may go on: so many attempts, and no wait that would end after so many seconds.

    A ``Retry-After`` beyond ``seconds`` ends the call at once; ``attempts=1`` switches retries off.
    """

    attempts: int = 6
    seconds: float = 30.0


def _worth_it(problem: BaseException) -> bool:
    return isinstance(problem, CreditError) and problem.retryable


def _wait(state: RetryCallState) -> float:
    problem = state.outcome.exception() if state.outcome else None
    asked = problem.retry_after_seconds if isinstance(problem, CreditError) else None
    return max(_BACKOFF(state), asked or 0.0)


def retrying(limits: RetryLimits) -> Retrying:
    """The rule for blocking calls."""
    return Retrying(
        retry=retry_if_exception(_worth_it),
        wait=_wait,
        stop=stop_after_attempt(limits.attempts) | stop_before_delay(limits.seconds),
        reraise=True,
    )


def async_retrying(limits: RetryLimits) -> AsyncRetrying:
    """The rule for awaited calls."""
    return AsyncRetrying(
        retry=retry_if_exception(_worth_it),
        wait=_wait,
        stop=stop_after_attempt(limits.attempts) | stop_before_delay(limits.seconds),
        reraise=True,
    )

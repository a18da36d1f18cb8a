"""Stripe's failures to refusals, and the patience with its rate limits; nobody above sees a Stripe exception."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn, TypeVar

import stripe
import structlog
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from tallybook.domain.errors import (
    StripeOutcomeSealedError,
    StripeRefusedError,
    StripeUnavailableError,
)
from tallybook.stripe.readings import id_of

_T = TypeVar("_T")
_log = structlog.get_logger("tallybook.stripe")
# The SDK retries lost connections, 409 and 5xx by itself, with the same key, but gives up on the first 429.
_ATTEMPTS_WHEN_LIMITED = 5
_LONGEST_WAIT_SECONDS = 8
_CONFLICT = 409
_SERVER_ERROR = 500


async def patiently(what: str, call: Callable[[], Awaitable[_T]]) -> _T:
    """Run one call to Stripe, again when it asks to slow down.

    Raises:
        StripeUnavailableError: the outcome is unknown; retry with the same key.
        StripeOutcomeSealedError: Stripe stored a fault under this key; only a new attempt helps.
        StripeRefusedError: Stripe said no; a retry with the same terms cannot help.
    """
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(stripe.RateLimitError),
        wait=wait_random_exponential(multiplier=0.25, max=_LONGEST_WAIT_SECONDS),
        stop=stop_after_attempt(_ATTEMPTS_WHEN_LIMITED),
        reraise=True,
    )
    try:
        async for attempt in retrying:
            with attempt:
                return await call()
    except stripe.StripeError as failure:
        _refuse(what, failure)
    raise AssertionError(what)


def _refuse(what: str, failure: stripe.StripeError) -> NoReturn:
    status = failure.http_status
    _log.warning(
        "stripe_call_failed",
        call=what,
        status=status,
        code=failure.code,
        request_id=failure.request_id,
        kind=type(failure).__name__,
    )
    if isinstance(failure, stripe.AuthenticationError | stripe.PermissionError):
        # Its message shows a part of the key, so it is not passed on.
        raise StripeRefusedError(
            "Stripe does not accept the secret key for this: check STRIPE_SECRET_KEY (tallybook doctor)."
        ) from failure
    if status == _SERVER_ERROR and _replayed(failure):
        raise StripeOutcomeSealedError from failure
    if (
        isinstance(failure, stripe.APIConnectionError | stripe.RateLimitError)
        or status is None
        or status >= _SERVER_ERROR
        or status == _CONFLICT
    ):
        raise StripeUnavailableError from failure
    raise StripeRefusedError(
        f"Stripe refused: {failure.user_message or 'it gave no reason'}",
        stripe_code=failure.code,
        stripe_status=status,
        **_declined(failure),
    ) from failure


def _declined(failure: stripe.StripeError) -> dict[str, str]:
    """Which parameter was wrong, or what a bank said of which payment intent: no webhook need ever tell."""
    body = failure.json_body
    error = body.get("error") if isinstance(body, Mapping) else None
    error = error if isinstance(error, Mapping) else {}
    told = {
        "stripe_param": error.get("param"),
        "stripe_decline_code": error.get("decline_code"),
        "stripe_payment_intent": id_of(error.get("payment_intent")),
    }
    return {name: value for name, value in told.items() if isinstance(value, str)}


def _replayed(failure: stripe.StripeError) -> bool:
    headers = {name.lower(): value for name, value in (failure.headers or {}).items()}
    return headers.get("idempotent-replayed") == "true"

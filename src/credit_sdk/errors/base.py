"""The root of the SDK's exceptions, and those that the service never sends.

One class per code of the service stands in the sibling modules; which status a code has is the
service's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class CreditError(Exception):
    """A call that did not do what it was asked to; also the class of codes that this version does not know.

    Attributes:
        code: stable and meant for programs; the message is for people.
        status: the HTTP status, or None where the answer did not come over HTTP.
        facts: what the service says beside the message, such as ``shortfall_micro``
        (micro-credits). retryable: the same call with the same idempotency key may succeed in a
        moment. may_have_acted: no answer came to a request that was sent, so the outcome is unknown until
        the key is asked again. retry_after_seconds: how long the service asks to wait, where it says so.
        idempotency_key: the key of the call, to repeat it safely; None for calls without one.
    """

    default_code: ClassVar[str] = "credit_error"

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        status: int | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Say it in ``message``, else in the first line of the class's docstring."""
        self.message = message or (self.__doc__ or self.default_code).strip().splitlines()[0]
        self.code = code or self.default_code
        self.status = status
        self.facts: dict[str, Any] = dict(facts or {})
        self.retryable = False
        self.may_have_acted = False
        self.retry_after_seconds: float | None = None
        self.idempotency_key: str | None = None
        super().__init__(self.message)

    def __str__(self) -> str:
        """The message, and the code in brackets."""
        return f"{self.message} [{self.code}]"


class ServiceUnreachableError(CreditError):
    """The service could not be reached, or the connection broke before its answer came."""

    default_code = "service_unreachable"


class UnexpectedAnswerError(CreditError):
    """The answer is not what this version of the SDK understands: is the address Tallybook's?"""

    default_code = "unexpected_answer"


class HoldUnsettledError(CreditError):
    """The hold could be neither captured nor released: it expires by itself, by its policy."""

    default_code = "hold_unsettled"


class LeaseExhaustedError(CreditError):
    """The service is away and the lease does not cover this spend: this call asked nothing and took nothing."""

    default_code = "lease_exhausted"


class OutboxUnavailableError(CreditError):
    """The outbox file cannot be read or written, so nothing was accepted."""

    default_code = "outbox_unavailable"

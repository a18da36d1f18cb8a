"""Refusals of a request itself: malformed, too large, without a key, about nothing."""

from __future__ import annotations

from tallybook.domain.errors.base import BillingError


class InvalidRequestError(BillingError):
    """The request is malformed."""

    code = "invalid_request"


class IdempotencyKeyMissingError(BillingError):
    """Send an Idempotency-Key header (1 to 255 characters), so that this request can be retried safely."""

    code = "idempotency_key_missing"


class IdempotencyKeyReusedError(BillingError):
    """This idempotency key was used for a different request. Use a new key for new terms."""

    code = "idempotency_key_reused"


class RequestTooLargeError(BillingError):
    """The request body is too large."""

    code = "request_too_large"


class NotFoundError(BillingError):
    """There is no such thing, or it is not yours to see."""

    code = "not_found"


class OverloadedError(BillingError):
    """Too many requests wait to be posted: nothing was done, try again in a moment with the same key."""

    code = "overloaded"

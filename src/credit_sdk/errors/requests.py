"""Refusals of the request itself, whatever it was about."""

from __future__ import annotations

from credit_sdk.errors.base import CreditError


class InvalidRequestError(CreditError):
    """The request is malformed; the facts name the field."""

    default_code = "invalid_request"


class IdempotencyKeyMissingError(CreditError):
    """The request needs an idempotency key; this SDK always sends one."""

    default_code = "idempotency_key_missing"


class IdempotencyKeyReusedError(CreditError):
    """The idempotency key was used for other terms: new terms need a new key."""

    default_code = "idempotency_key_reused"


class RequestTooLargeError(CreditError):
    """The request body is too large."""

    default_code = "request_too_large"


class NotFoundError(CreditError):
    """There is no such thing, or it is not the caller's to see."""

    default_code = "not_found"


class OverloadedError(CreditError):
    """Too many requests wait at the service: nothing was done, the same call may succeed in a moment."""

    default_code = "overloaded"


class SettingsError(CreditError):
    """A setting is missing or wrong, on this side or on the service's."""

    default_code = "settings_invalid"


class DatabaseUnavailableError(CreditError):
    """The database cannot be reached, from the service or over direct SQL."""

    default_code = "database_unavailable"


class AnchorFailedError(CreditError):
    """No anchor of the ledger was exported, or none can be read; the operator's business."""

    default_code = "anchor_failed"


class SealError(CreditError):
    """The service cannot open a value that it sealed: its secret key was changed."""

    default_code = "seal_broken"

"""Refusals about spend alerts."""

from __future__ import annotations

from credit_sdk.errors.base import CreditError


class AlertNotFoundError(CreditError):
    """There is no such alert, or it is not the caller's."""

    default_code = "alert_not_found"


class AlertLimitError(CreditError):
    """There are as many alerts on the wallet as there may be."""

    default_code = "alert_limit"

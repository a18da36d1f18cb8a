"""Refusals about spend alerts."""

from __future__ import annotations

from tallybook.domain.errors.base import BillingError


class AlertNotFoundError(BillingError):
    """There is no such alert, or it is not yours."""

    code = "alert_not_found"


class AlertLimitError(BillingError):
    """There are as many alerts on this wallet as there may be: end one, or change it."""

    code = "alert_limit"

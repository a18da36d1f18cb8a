"""Refusals about the installation: settings and database."""

from __future__ import annotations

from tallybook.domain.errors.base import BillingError


class SealError(BillingError):
    """A sealed value cannot be opened: TALLYBOOK_SECRET_KEY is not the one it was sealed under, or it was altered."""

    code = "seal_broken"


class SettingsError(BillingError):
    """A setting is missing or wrong."""

    code = "settings_invalid"
    faults: tuple[tuple[str, str, str], ...] = ()
    """Of each setting that is wrong: its name, a stable word, and what to do; for ``tallybook doctor``."""


class AnchorFailedError(BillingError):
    """No anchor was exported, or none can be read there: the message says why."""

    code = "anchor_failed"


class DatabaseUnavailableError(BillingError):
    """The database cannot be reached: try again in a moment with the same key."""

    code = "database_unavailable"

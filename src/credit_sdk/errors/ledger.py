"""Refusals of the ledger: nothing was booked."""

from __future__ import annotations

from typing import Any

from credit_sdk.errors.base import CreditError


class WalletNotFoundError(CreditError):
    """There is no such wallet, or it is not the caller's."""

    default_code = "wallet_not_found"


class WalletBusyError(CreditError):
    """Another transaction holds the wallet: repeat in a moment with the same key."""

    default_code = "wallet_busy"


class InsufficientCreditsError(CreditError):
    """Not enough credits; the facts say how many are missing (``shortfall_micro``)."""

    default_code = "insufficient_credits"

    @property
    def offers(self) -> list[dict[str, Any]]:
        """What would cover it, cheapest first: ``lookup_key``, ``quantity``, ``credits_micro``, ``amount_minor``."""
        return list(self.facts.get("offers") or [])

    @property
    def pay_url(self) -> str | None:
        """Where whoever pays is sent, good for a day; None when ``facts["pay_url_reason"]`` says why, and over SQL."""
        return self.facts.get("pay_url")

    @property
    def resume_token(self) -> str | None:
        """``resume`` of the same call, with the same ``idempotency_key``, once it is paid; None over SQL."""
        return self.facts.get("resume_token")


class AmountOutOfRangeError(CreditError):
    """An amount is above zero, at most a billion credits, with at most six decimals."""

    default_code = "amount_out_of_range"


class BalanceLimitError(CreditError):
    """The wallet would hold more than a wallet may."""

    default_code = "balance_limit"


class HoldNotFoundError(CreditError):
    """There is no such hold, or it is another app's."""

    default_code = "hold_not_found"


class HoldSettledError(CreditError):
    """The hold is settled already: captured in full, released or expired."""

    default_code = "hold_settled"


class CaptureExceedsHoldError(CreditError):
    """The capture is larger than what is left of the hold."""

    default_code = "capture_exceeds_hold"


class TransferNotFoundError(CreditError):
    """There is no such spend or capture of this app's to give back."""

    default_code = "transfer_not_found"


class GiveBackExceedsError(CreditError):
    """More than the transfer took, less what was given back before; ``remaining_micro`` says how much can be."""

    default_code = "give_back_exceeds"


class WalletFrozenError(CreditError):
    """The wallet is frozen: it neither spends nor holds until it is thawed; open holds are settled as ever."""

    default_code = "wallet_frozen"


class BatchRefusedError(CreditError):
    """One item was refused, so nothing was booked; ``index``, ``item_code`` and ``item_facts`` say which and why."""

    default_code = "batch_refused"


class BudgetExceededError(CreditError):
    """A budget does not allow this much; the facts say which (``budget``) and until when (``period_ends_at``)."""

    default_code = "budget_exceeded"


class BudgetNotFoundError(CreditError):
    """There is no such budget of this wallet, or it is not the caller's to name."""

    default_code = "budget_not_found"

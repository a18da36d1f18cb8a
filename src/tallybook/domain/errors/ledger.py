"""Refusals of the ledger: not enough, not open, not there, not now."""

from __future__ import annotations

from tallybook.domain.errors.base import BillingError


class WalletNotFoundError(BillingError):
    """There is no such wallet, or it is not yours."""

    code = "wallet_not_found"


class WalletBusyError(BillingError):
    """Another transaction holds this wallet: try again in a moment with the same key."""

    code = "wallet_busy"


class WalletFrozenError(BillingError):
    """This wallet is frozen: until an admin or the end of its dispute thaws it, it neither spends nor holds."""

    code = "wallet_frozen"


class InsufficientCreditsError(BillingError):
    """Insufficient credits"""

    code = "insufficient_credits"


class AmountOutOfRangeError(BillingError):
    """The amount must be above zero and at most 1,000,000,000 credits, with at most six decimals."""

    code = "amount_out_of_range"


class BalanceLimitError(BillingError):
    """A wallet holds at most 9,000,000,000 credits."""

    code = "balance_limit"


class HoldNotFoundError(BillingError):
    """There is no such hold, or it is not yours."""

    code = "hold_not_found"


class BudgetNotFoundError(BillingError):
    """There is no such budget, or it is not yours."""

    code = "budget_not_found"


class BudgetExceededError(BillingError):
    """A budget does not allow this much: raise its limit, or wait until its period ends."""

    code = "budget_exceeded"


class HoldSettledError(BillingError):
    """The hold is settled: it was captured in full or released."""

    code = "hold_settled"


class CaptureExceedsHoldError(BillingError):
    """The capture is larger than what is left of the hold."""

    code = "capture_exceeds_hold"


class TransferNotFoundError(BillingError):
    """There is no such spend or capture of yours to give back."""

    code = "transfer_not_found"


class GiveBackExceedsError(BillingError):
    """More than the transfer took, less what was given back before."""

    code = "give_back_exceeds"


class BatchRefusedError(BillingError):
    """One item was refused, so nothing of the batch was booked."""

    code = "batch_refused"

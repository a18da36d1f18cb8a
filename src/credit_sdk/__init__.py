"""The Python SDK of Tallybook: read, spend, hold and sell credits from an app.

``CreditSDK`` has four calls and works over a PostgreSQL URL or over the API; ``Client`` and
``AsyncClient`` are the typed clients of the whole native API. Amounts are credits as int, Decimal
or str, never float; fields ending in ``_micro`` are micro-credits (1 credit = 1,000,000). Errors
are in ``credit_sdk.errors``, one class for each code.
"""

from credit_sdk.batches import BatchItem
from credit_sdk.clients import AsyncClient, Client
from credit_sdk.errors import (
    CreditError,
    HoldUnsettledError,
    InsufficientCreditsError,
    LeaseExhaustedError,
    ServiceUnreachableError,
)
from credit_sdk.jobs import Job
from credit_sdk.outbox.rows import OutboxSpend
from credit_sdk.outbox.terms import FailClosed, FailOpen
from credit_sdk.retries import RetryLimits
from credit_sdk.sdk import CreditSDK

__all__ = [
    "AsyncClient",
    "BatchItem",
    "Client",
    "CreditError",
    "CreditSDK",
    "FailClosed",
    "FailOpen",
    "HoldUnsettledError",
    "InsufficientCreditsError",
    "Job",
    "LeaseExhaustedError",
    "OutboxSpend",
    "RetryLimits",
    "ServiceUnreachableError",
]

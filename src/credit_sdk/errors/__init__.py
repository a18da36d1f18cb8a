"""The SDK's exceptions: one class for each code of the service, and which class a code has.

Every class is a ``CreditError``; a code that this version does not know is a plain ``CreditError``
with that code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from credit_sdk.errors.alerts import AlertLimitError, AlertNotFoundError
from credit_sdk.errors.base import (
    CreditError,
    HoldUnsettledError,
    LeaseExhaustedError,
    OutboxUnavailableError,
    ServiceUnreachableError,
    UnexpectedAnswerError,
)
from credit_sdk.errors.identity import (
    AdminRequiredError,
    ApiKeyExpiredError,
    ApiKeyInvalidError,
    ApiKeyRequiredError,
    ApiKeyRevokedError,
    AppNotFoundError,
    AuthenticationRequiredError,
    EmailInvalidError,
    EmailTakenError,
    InvalidCredentialsError,
    PasswordUnfitError,
    PermissionDeniedError,
    RefreshTokenReusedError,
    TokenExpiredError,
    TokenForeignAppError,
    TokenInvalidError,
    TokenRevokedError,
    UserInactiveError,
    UserNotFoundError,
)
from credit_sdk.errors.ledger import (
    AmountOutOfRangeError,
    BalanceLimitError,
    BatchRefusedError,
    BudgetExceededError,
    BudgetNotFoundError,
    CaptureExceedsHoldError,
    GiveBackExceedsError,
    HoldNotFoundError,
    HoldSettledError,
    InsufficientCreditsError,
    TransferNotFoundError,
    WalletBusyError,
    WalletFrozenError,
    WalletNotFoundError,
)
from credit_sdk.errors.payments import (
    AlreadySubscribedError,
    CatalogInvalidError,
    CatalogNotPushedError,
    CheckoutNotFoundError,
    EventNotFoundError,
    FulfilmentBusyError,
    ModeMismatchError,
    PayLinkExpiredError,
    PayLinkInvalidError,
    PaymentMethodUnsupportedError,
    PaymentNotFoundError,
    PlanChangeUnsupportedError,
    PriceNotFoundError,
    RefundExceedsError,
    RefundNotPossibleError,
    ResumeTokenInvalidError,
    StripeAccountMismatchError,
    StripeNotConfiguredError,
    StripeOutcomeSealedError,
    StripeRefusedError,
    StripeUnavailableError,
    SubscriptionNotFoundError,
    SubscriptionPaymentError,
    SubscriptionStateError,
    SubscriptionSupersededError,
    UrlNotAllowedError,
    WebhookPayloadError,
    WebhookSecretMissingError,
    WebhookSignatureError,
)
from credit_sdk.errors.requests import (
    AnchorFailedError,
    DatabaseUnavailableError,
    IdempotencyKeyMissingError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    RequestTooLargeError,
    SealError,
    SettingsError,
)

OWN_CODES = frozenset(
    kind.default_code
    for kind in (
        CreditError,
        ServiceUnreachableError,
        UnexpectedAnswerError,
        HoldUnsettledError,
        LeaseExhaustedError,
        OutboxUnavailableError,
    )
)
"""Codes that arise on this side of the wire."""

BY_CODE: dict[str, type[CreditError]] = {kind.default_code: kind for kind in CreditError.__subclasses__()}
"""The class of every code that the SDK knows."""


def refusal(
    code: str,
    message: str | None = None,
    *,
    status: int | None = None,
    facts: Mapping[str, Any] | None = None,
) -> CreditError:
    """The exception for a code, ready to be raised; facts as the service sent them."""
    return BY_CODE.get(code, CreditError)(message, code=code, status=status, facts=facts)


__all__ = [
    "BY_CODE",
    "OWN_CODES",
    "AdminRequiredError",
    "AlertLimitError",
    "AlertNotFoundError",
    "AlreadySubscribedError",
    "AmountOutOfRangeError",
    "AnchorFailedError",
    "ApiKeyExpiredError",
    "ApiKeyInvalidError",
    "ApiKeyRequiredError",
    "ApiKeyRevokedError",
    "AppNotFoundError",
    "AuthenticationRequiredError",
    "BalanceLimitError",
    "BatchRefusedError",
    "BudgetExceededError",
    "BudgetNotFoundError",
    "CaptureExceedsHoldError",
    "CatalogInvalidError",
    "CatalogNotPushedError",
    "CheckoutNotFoundError",
    "CreditError",
    "DatabaseUnavailableError",
    "EmailInvalidError",
    "EmailTakenError",
    "EventNotFoundError",
    "FulfilmentBusyError",
    "GiveBackExceedsError",
    "HoldNotFoundError",
    "HoldSettledError",
    "HoldUnsettledError",
    "IdempotencyKeyMissingError",
    "IdempotencyKeyReusedError",
    "InsufficientCreditsError",
    "InvalidCredentialsError",
    "InvalidRequestError",
    "LeaseExhaustedError",
    "ModeMismatchError",
    "NotFoundError",
    "OutboxUnavailableError",
    "OverloadedError",
    "PasswordUnfitError",
    "PayLinkExpiredError",
    "PayLinkInvalidError",
    "PaymentMethodUnsupportedError",
    "PaymentNotFoundError",
    "PermissionDeniedError",
    "PlanChangeUnsupportedError",
    "PriceNotFoundError",
    "RefreshTokenReusedError",
    "RefundExceedsError",
    "RefundNotPossibleError",
    "RequestTooLargeError",
    "ResumeTokenInvalidError",
    "SealError",
    "ServiceUnreachableError",
    "SettingsError",
    "StripeAccountMismatchError",
    "StripeNotConfiguredError",
    "StripeOutcomeSealedError",
    "StripeRefusedError",
    "StripeUnavailableError",
    "SubscriptionNotFoundError",
    "SubscriptionPaymentError",
    "SubscriptionStateError",
    "SubscriptionSupersededError",
    "TokenExpiredError",
    "TokenForeignAppError",
    "TokenInvalidError",
    "TokenRevokedError",
    "TransferNotFoundError",
    "UnexpectedAnswerError",
    "UrlNotAllowedError",
    "UserInactiveError",
    "UserNotFoundError",
    "WalletBusyError",
    "WalletFrozenError",
    "WalletNotFoundError",
    "WebhookPayloadError",
    "WebhookSecretMissingError",
    "WebhookSignatureError",
    "refusal",
]

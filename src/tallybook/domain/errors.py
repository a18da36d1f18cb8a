"""Every refusal Tallybook can make: one class for each stable code.

A refusal is an answer, not a fault: it carries a code that never changes, a sentence that says what to do, and
facts. Which HTTP status a code has is decided in ``api/problems.py``; the domain knows no HTTP. A bug is a failed
assertion, never one of these.
"""

from __future__ import annotations

from typing import Any, ClassVar


class BillingError(Exception):
    """A refusal; the docstring of the subclass is its default sentence."""

    code: ClassVar[str] = "billing_error"

    def __init__(self, message: str | None = None, **facts: Any) -> None:
        """Say it in ``message`` (else the class's own sentence), with facts for programs."""
        self.message = message or (self.__doc__ or "").strip().splitlines()[0]
        self.facts = facts
        super().__init__(self.message)


# --- The request itself -------------------------------------------------------------------------------------


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


# --- Identity -----------------------------------------------------------------------------------------------


class AuthenticationRequiredError(BillingError):
    """Sign in, or send an API key: Authorization: Bearer <token or key>, or X-API-Key."""

    code = "authentication_required"


class InvalidCredentialsError(BillingError):
    """Invalid email or password"""

    code = "invalid_credentials"


class UserInactiveError(BillingError):
    """User account is inactive"""

    code = "user_inactive"


class AppNotFoundError(BillingError):
    """Invalid or inactive app: check the App ID"""

    code = "app_not_found"


class ApiKeyInvalidError(BillingError):
    """Invalid API key"""

    code = "api_key_invalid"


class ApiKeyExpiredError(BillingError):
    """API key has expired: create a new one"""

    code = "api_key_expired"


class ApiKeyRevokedError(BillingError):
    """API key was revoked: create a new one"""

    code = "api_key_revoked"


class ApiKeyRequiredError(BillingError):
    """This app requires its API key in X-API-Key"""

    code = "api_key_required"


class TokenInvalidError(BillingError):
    """Invalid session token"""

    code = "token_invalid"


class TokenExpiredError(BillingError):
    """Session token has expired: refresh it or sign in again"""

    code = "token_expired"


class TokenRevokedError(BillingError):
    """Session was revoked: sign in again"""

    code = "token_revoked"


class TokenForeignAppError(BillingError):
    """Session token was issued for another app"""

    code = "token_foreign_app"


class RefreshTokenReusedError(BillingError):
    """Refresh token was already used: the session is revoked, sign in again"""

    code = "refresh_token_reused"


class PermissionDeniedError(BillingError):
    """The caller lacks the permission for this."""

    code = "permission_denied"


class AdminRequiredError(BillingError):
    """This needs an admin."""

    code = "admin_required"


class EmailTakenError(BillingError):
    """An account with this e-mail address exists: sign in instead."""

    code = "email_taken"


class EmailInvalidError(BillingError):
    """This is not an e-mail address."""

    code = "email_invalid"


class PasswordUnfitError(BillingError):
    """Choose another password: 8 to 256 characters, and not one of the most common ones."""

    code = "password_unfit"


class UserNotFoundError(BillingError):
    """User not found"""

    code = "user_not_found"


# --- The ledger ---------------------------------------------------------------------------------------------


class WalletNotFoundError(BillingError):
    """There is no such wallet, or it is not yours."""

    code = "wallet_not_found"


class WalletBusyError(BillingError):
    """Another transaction holds this wallet: try again in a moment with the same key."""

    code = "wallet_busy"


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


class HoldSettledError(BillingError):
    """The hold is settled: it was captured in full or released."""

    code = "hold_settled"


class CaptureExceedsHoldError(BillingError):
    """The capture is larger than what is left of the hold."""

    code = "capture_exceeds_hold"


# --- Catalogue, checkout and Stripe -------------------------------------------------------------------------


class CatalogError(BillingError):
    """The catalogue file is not valid."""

    code = "catalog_invalid"


class PriceNotFoundError(BillingError):
    """There is no such price in the catalogue."""

    code = "price_not_found"


class ModeMismatchError(BillingError):
    """This price cannot be bought in this mode: payment is for packs and packages, subscription for plans."""

    code = "mode_mismatch"


class PaymentMethodUnsupportedError(BillingError):
    """Only payment_method "stripe" is supported."""

    code = "payment_method_unsupported"


class UrlNotAllowedError(BillingError):
    """The return URL must be http(s) and on an allowed domain."""

    code = "url_not_allowed"


class CheckoutNotFoundError(BillingError):
    """There is no such checkout, or it is not yours."""

    code = "checkout_not_found"


class CheckoutInFlightError(BillingError):
    """The same checkout is being opened right now: try again in a moment with the same key."""

    code = "checkout_in_flight"


class StripeNotConfiguredError(BillingError):
    """Stripe is not configured: set STRIPE_SECRET_KEY (tallybook doctor explains)."""

    code = "stripe_not_configured"


class StripeUnavailableError(BillingError):
    """Stripe cannot be reached or asks to slow down: try again in a moment with the same key."""

    code = "stripe_unavailable"


class StripeOutcomeSealedError(BillingError):
    """Stripe had a fault and stored it under our key: try again, a new attempt is made."""

    code = "stripe_outcome_sealed"


class StripeAccountMismatchError(BillingError):
    """This database belongs to another Stripe account or mode: use another database, or the old key."""

    code = "stripe_account_mismatch"


class CatalogNotPushedError(BillingError):
    """This product has no Stripe price yet: run tallybook catalog push."""

    code = "catalog_not_pushed"


class SubscriptionsNotAvailableError(BillingError):
    """Plans cannot be bought yet: buy a pack or a package with mode payment."""

    code = "subscriptions_not_available"


class FulfilmentBusyError(BillingError):
    """This customer's payments are being settled right now: try again in a moment."""

    code = "fulfilment_busy"


class StripeRefusedError(BillingError):
    """Stripe refused the request."""

    code = "stripe_refused"


class WebhookSecretMissingError(BillingError):
    """No webhook signing secret is set: set STRIPE_WEBHOOK_SECRET, or nothing can be believed."""

    code = "webhook_secret_missing"


class WebhookSignatureError(BillingError):
    """Invalid signature"""

    code = "webhook_signature_invalid"


class WebhookPayloadError(BillingError):
    """Invalid payload"""

    code = "webhook_payload_invalid"


class EventNotFoundError(BillingError):
    """There is no such event in the inbox."""

    code = "event_not_found"


# --- The installation ---------------------------------------------------------------------------------------


class SealError(BillingError):
    """A sealed value cannot be opened: TALLYBOOK_SECRET_KEY is not the one it was sealed under, or it was altered."""

    code = "seal_broken"


class SettingsError(BillingError):
    """A setting is missing or wrong."""

    code = "settings_invalid"


class DatabaseUnavailableError(BillingError):
    """The database cannot be reached: try again in a moment with the same key."""

    code = "database_unavailable"


def all_codes() -> dict[str, type[BillingError]]:
    """Every refusal by its code; the subclasses of ``BillingError`` that exist."""
    found: dict[str, type[BillingError]] = {}
    pending = list(BillingError.__subclasses__())
    while pending:
        kind = pending.pop()
        assert kind.code not in found, kind.code
        found[kind.code] = kind
        pending.extend(kind.__subclasses__())
    return found

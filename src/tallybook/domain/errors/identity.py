"""Refusals about who is calling and what they may do."""

from __future__ import annotations

from tallybook.domain.errors.base import BillingError


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

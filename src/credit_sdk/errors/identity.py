"""Refusals about who is calling: credentials, sessions, API keys and permissions."""

from __future__ import annotations

from credit_sdk.errors.base import CreditError


class AuthenticationRequiredError(CreditError):
    """Neither an API key nor a session token was sent."""

    default_code = "authentication_required"


class InvalidCredentialsError(CreditError):
    """The e-mail address or the password is wrong."""

    default_code = "invalid_credentials"


class UserInactiveError(CreditError):
    """The user's account is switched off."""

    default_code = "user_inactive"


class AppNotFoundError(CreditError):
    """There is no such app, or it is switched off."""

    default_code = "app_not_found"


class ApiKeyInvalidError(CreditError):
    """This is not an API key of the installation."""

    default_code = "api_key_invalid"


class ApiKeyExpiredError(CreditError):
    """The API key has expired: create a new one."""

    default_code = "api_key_expired"


class ApiKeyRevokedError(CreditError):
    """The API key was revoked: create a new one."""

    default_code = "api_key_revoked"


class ApiKeyRequiredError(CreditError):
    """The app demands its API key beside the session token."""

    default_code = "api_key_required"


class TokenInvalidError(CreditError):
    """The session token is not one of the service's."""

    default_code = "token_invalid"


class TokenExpiredError(CreditError):
    """The session token has expired: refresh the session or sign in again."""

    default_code = "token_expired"


class TokenRevokedError(CreditError):
    """The session was ended: sign in again."""

    default_code = "token_revoked"


class TokenForeignAppError(CreditError):
    """The session token was issued for another app."""

    default_code = "token_foreign_app"


class RefreshTokenReusedError(CreditError):
    """The refresh token was used before, so the session was ended: sign in again."""

    default_code = "refresh_token_reused"


class PermissionDeniedError(CreditError):
    """The app lacks the permission for this: an admin can add it."""

    default_code = "permission_denied"


class AdminRequiredError(CreditError):
    """Only an admin may do this."""

    default_code = "admin_required"


class EmailTakenError(CreditError):
    """An account with this e-mail address exists."""

    default_code = "email_taken"


class EmailInvalidError(CreditError):
    """This is not an e-mail address."""

    default_code = "email_invalid"


class PasswordUnfitError(CreditError):
    """The password is too short, too long or too common."""

    default_code = "password_unfit"


class UserNotFoundError(CreditError):
    """There is no user with this id."""

    default_code = "user_not_found"

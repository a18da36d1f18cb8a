"""Who may call: any ``sk_test_…`` key, in a version that the sandbox serves.

Keys are compared, never logged or stored. Leaves parameters to ``dispatch``.
"""

import base64
import binascii
from http import HTTPStatus

from starlette.requests import Request

from stripe_sandbox import versions
from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import API_VERSION


def check_key(request: Request) -> None:
    """Raise `ApiError` unless the key is a test key."""
    key = _key(request.headers.get("authorization", ""))
    if not key:
        message = (
            "You did not provide an API key. You need to provide your API key in the "
            "Authorization header, using Bearer auth (e.g. 'Authorization: Bearer sk_test_...')."
        )
        raise ApiError(message, status=HTTPStatus.UNAUTHORIZED)
    if key.startswith(("sk_live_", "rk_live_", "pk_live_")):
        message = (
            "This is a sandbox: it refuses live keys. A live key was sent to it; check which "
            "base address the live settings name, and roll the key if this host is not yours."
        )
        raise ApiError(message, status=HTTPStatus.UNAUTHORIZED, code="livemode_mismatch")
    if not key.startswith("sk_test_") or key == "sk_test_":
        message = "Invalid API Key provided. The sandbox takes any key that begins with sk_test_."
        raise ApiError(message, status=HTTPStatus.UNAUTHORIZED)


def version_of(request: Request) -> str:
    """Return the API version to answer in; raises `ApiError` for one that is not served."""
    version = request.headers.get("stripe-version", API_VERSION)
    if version not in versions.SERVED:
        served = ", ".join(versions.SERVED)
        message = f"Invalid Stripe API version: {version[:40]}. The sandbox serves {served}."
        raise ApiError(message)
    return version


def _key(header: str) -> str:
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().split(":", 1)[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""

"""Where a customer may be sent after Stripe: a pure rule over origins and domains that the operator named."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

from tallybook.domain.errors import UrlNotAllowedError

PLACEHOLDER = "{CHECKOUT_SESSION_ID}"
"""Stripe puts the session's id here: https://docs.stripe.com/payments/checkout/custom-success-page."""

URL_LENGTH_MAX = 2000
_SCHEMES = ("http", "https")


def allowed(url: str, *, livemode: bool, origins: Sequence[str], domains: Sequence[str]) -> str:
    """The URL itself, if a customer may be sent there.

    In test mode any http(s) URL may be used. In live mode its origin must be one of ``origins``, or it must be
    https on one of ``domains`` (those of the apps).

    Raises:
        UrlNotAllowedError: says which host was refused.
    """
    parts = _split(url)
    if not livemode:
        return url
    if _origin(parts) in {_origin(_split(origin)) for origin in origins if origin}:
        return url
    if parts.scheme == "https" and parts.hostname in {_host(domain) for domain in domains}:
        return url
    raise UrlNotAllowedError(
        f"{parts.hostname} is not an allowed domain: add it to ALLOWED_ORIGINS or to the app.",
        host=parts.hostname,
    )


def with_session_id(success_url: str, pages_url: str) -> str:
    """Our own success page learns the session's id, also when the caller left the placeholder out."""
    own = _origin(_split(success_url)) == _origin(_split(pages_url))
    if not own or PLACEHOLDER in success_url:
        return success_url
    base, mark, fragment = success_url.partition("#")
    joint = "&" if "?" in base else "?"
    return f"{base}{joint}session_id={PLACEHOLDER}{mark}{fragment}"


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UrlNotAllowedError("The return URL is not a URL.") from None
    clean = url.isascii() and url.isprintable() and not set(url) & set(' <>"\\^`|')
    if not clean or len(url) > URL_LENGTH_MAX or parts.scheme not in _SCHEMES or not parts.hostname:
        raise UrlNotAllowedError
    if parts.username is not None or parts.password is not None or port == 0:
        raise UrlNotAllowedError("The return URL must not hold a user name or password.")
    return parts


def _origin(parts: SplitResult) -> tuple[str, str | None, int]:
    return (parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))


def _host(domain: str) -> str | None:
    text = domain.strip().lower()
    if not text:
        return None
    try:
        return urlsplit(text if "//" in text else f"//{text}").hostname
    except ValueError:
        return None

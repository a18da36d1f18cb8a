"""How an update changes an object: metadata is merged, the empty string unsets.

Source: docs.stripe.com/api/metadata. Leaves which fields may change to the handlers.
"""

from typing import Any

from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json

_MOST_KEYS = 50
_LONGEST_KEY = 40
_LONGEST_VALUE = 500


def metadata(given: Any, old: Json | None = None) -> Json:
    """Return metadata after merging; raises `ApiError` beyond Stripe's limits."""
    if given is None:
        return dict(old or {})
    if given == "":
        return {}
    merged = dict(old or {})
    for key, value in given.items():
        if value in ("", None):
            merged.pop(key, None)
        else:
            merged[key] = str(value)
    for key, value in merged.items():
        if len(key) > _LONGEST_KEY or len(value) > _LONGEST_VALUE:
            message = (
                f"Metadata keys can have up to {_LONGEST_KEY} characters and values up to {_LONGEST_VALUE}."
            )
            raise ApiError(message, param=f"metadata[{key[:_LONGEST_KEY]}]")
    if len(merged) > _MOST_KEYS:
        message = f"Metadata can have up to {_MOST_KEYS} keys."
        raise ApiError(message, param="metadata")
    return merged


def fields(params: Json, *names: str) -> Json:
    """Return the named parameters that were given; the empty string becomes null."""
    return {name: params[name] if params[name] != "" else None for name in names if name in params}

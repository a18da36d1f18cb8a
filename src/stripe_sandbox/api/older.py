"""Parameters that Stripe took back: refused in the version that has them no more, taken where a caller may be older.

A request that names no version may be older too: the Stripe CLI names none, and its fixtures still use them.
Source: docs.stripe.com/changelog/endive. Leaves all other parameters to ``spec``.
"""

from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import API_VERSION, Json

METHOD_TYPES = "payment_method_types"
_PATHS = ("/v1/checkout/sessions", "/v1/payment_intents", "/v1/setup_intents")
_OFFERED = ("card", "sepa_debit", "us_bank_account")


def parted(path: str, form: Json, version: str | None) -> tuple[Json, Json]:
    """Return the parameters of the pinned version, and those that were taken back; `version` is the one named."""
    if METHOD_TYPES not in form or not path.startswith(_PATHS):
        return form, {}
    if version == API_VERSION:
        message = (
            f"The `{METHOD_TYPES}` parameter is no longer supported in this API version. Use "
            "`allowed_payment_method_types`, or leave it out for dynamic payment methods."
        )
        code = f"{METHOD_TYPES}_no_longer_supported"
        raise ApiError(message, code=code, param=METHOD_TYPES)
    rest = {name: value for name, value in form.items() if name != METHOD_TYPES}
    return rest, {METHOD_TYPES: _offered(form[METHOD_TYPES])}


def _offered(given: object) -> list[str]:
    several = list(given.values()) if isinstance(given, dict) else given
    names = [str(name) for name in several] if isinstance(several, list) else [str(several)]
    strange = [name for name in names if name not in _OFFERED]
    if strange or not names:
        message = f"Invalid {METHOD_TYPES}: the sandbox knows {', '.join(_OFFERED)}."
        raise ApiError(message, param=METHOD_TYPES)
    return names

"""``/v1/tax/settings``: whether the account's tax is set up. Leaves the rates to ``billing.taxing``."""

from stripe_sandbox.api import changes
from stripe_sandbox.api.routes import endpoint
from stripe_sandbox.billing import taxing
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import catalog

_OFFICE = {
    "country": "US",
    "line1": "510 Townsend St",
    "city": "San Francisco",
    "postal_code": "94103",
    "state": "CA",
}


@endpoint("GET", "/v1/tax/settings")
def retrieve(call: Call) -> Json:
    """Return the settings."""
    return _settings(call)


@endpoint("POST", "/v1/tax/settings", "head_office")
def update(call: Call) -> Json:
    """Say where the business is, after which tax is set up."""
    given = changes.fields(call.params, "head_office").get("head_office") or {}
    if not (given.get("address") or {}).get("country"):
        message = "Missing required param: head_office[address][country]."
        raise ApiError(message, code="parameter_missing", param="head_office[address][country]")
    call.store.set_setting(taxing.TAX_STATUS, "active")
    return _settings(call)


def _settings(call: Call) -> Json:
    active = taxing.status(call) == "active"
    return {
        "object": "tax.settings",
        "defaults": {"provider": "stripe", "tax_behavior": None, "tax_code": None},
        "head_office": {"address": catalog.address(_OFFICE)} if active else None,
        "livemode": False,
        "status": "active" if active else "pending",
        "status_details": {"active": {}} if active else {"pending": {"missing_fields": ["head_office"]}},
    }

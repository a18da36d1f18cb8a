"""``/v1/billing_portal``: sessions and configurations. Leaves the page to ``hosted.portal``."""

from stripe_sandbox.api import changes, lists
from stripe_sandbox.api.routes import LIST, endpoint
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError, only
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import portals as shapes
from stripe_sandbox.store import field_is

_SESSIONS = "/v1/billing_portal/sessions"
_CONFIGURATIONS = "/v1/billing_portal/configurations"
_KIND = "billing_portal.configuration"
_TAKES = ("business_profile", "default_return_url", "features", "metadata", "name")
_FEATURES: dict[str, tuple[str, ...]] = {
    "customer_update": ("allowed_updates", "enabled"),
    "invoice_history": ("enabled",),
    "payment_method_update": ("enabled",),
    "subscription_cancel": ("cancellation_reason", "enabled", "mode", "proration_behavior"),
    "subscription_update": ("default_allowed_updates", "enabled", "products", "proration_behavior"),
}


@endpoint("POST", _SESSIONS, "customer", "configuration", "return_url", "locale")
def create_session(call: Call) -> Json:
    """Open the portal for a customer."""
    params = call.params
    customer = call.need("customer", params.get("customer", ""), param="customer")
    if "configuration" in params:
        found = call.need(_KIND, params["configuration"], param="configuration")
    else:
        found = _default(call)
    return_url = params.get("return_url") or found["default_return_url"]
    fields = {"configuration": found["id"], "return_url": return_url, "locale": params.get("locale")}
    body = shapes.session(call.now, customer["id"], fields, base_url=call.base_url)
    return call.add(body, "billing_portal.session.created")


@endpoint("POST", _CONFIGURATIONS, *_TAKES)
def create_configuration(call: Call) -> Json:
    """Create a configuration."""
    body = shapes.configuration(call.now, _features(call, shapes.DEFAULTS), _fields(call, {}))
    return call.add(body, "billing_portal.configuration.created")


@endpoint("GET", _CONFIGURATIONS, *LIST, "active", "is_default")
def list_configurations(call: Call) -> Json:
    """List configurations."""
    return lists.page(call, _KIND, _CONFIGURATIONS, lists.matching(call, "active", "is_default"))


@endpoint("GET", _CONFIGURATIONS + "/{}")
def retrieve_configuration(call: Call) -> Json:
    """Return a configuration."""
    return call.need(_KIND, call.id)


@endpoint("POST", _CONFIGURATIONS + "/{}", *_TAKES, "active")
def update_configuration(call: Call) -> Json:
    """Change a configuration."""
    before = call.need(_KIND, call.id)
    features = shapes.merged(before["features"], _features(call, before["features"]))
    body = before | _fields(call, before) | {"features": features, "updated": call.now}
    if "active" in call.params:
        body["active"] = call.params["active"]
    return call.save(body, "billing_portal.configuration.updated", before)


def _default(call: Call) -> Json:
    """Return the default configuration, made when it is first needed."""
    found = call.store.find(_KIND, [field_is("is_default", 1)], limit=1)
    if found:
        return found[0]
    return call.add(shapes.configuration(call.now, {}, {"is_default": True}))


def _fields(call: Call, old: Json) -> Json:
    params = call.params
    fields = changes.fields(params, "default_return_url", "name")
    if "business_profile" in params:
        names = ("headline", "privacy_policy_url", "terms_of_service_url")
        given = only(params["business_profile"], "business_profile", *names)
        fields["business_profile"] = {name: given.get(name) or None for name in names}
    fields["metadata"] = changes.metadata(params.get("metadata"), old.get("metadata"))
    return fields


def _features(call: Call, old: Json) -> Json:
    """Return the features that the request names, checked and complete."""
    given = only(call.params.get("features", {}), "features", *_FEATURES)
    found = {}
    for name, part in given.items():
        wanted = dict(only(part, f"features[{name}]", *_FEATURES[name]))
        if "cancellation_reason" in wanted:
            reason = old["subscription_cancel"]["cancellation_reason"] | wanted["cancellation_reason"]
            wanted["cancellation_reason"] = reason | {"options": reason["options"] or []}
        if wanted.get("products"):
            wanted["products"] = [_product(call, one) for one in wanted["products"]]
        found[name] = wanted
    update = found.get("subscription_update", {})
    if update.get("enabled") and not update.get("products"):
        message = "`products` is required when `subscription_update` is enabled."
        raise ApiError(message, code="parameter_missing", param="features[subscription_update][products]")
    return found


def _product(call: Call, given: Json) -> Json:
    for price in given["prices"]:
        call.need("price", price, param="features[subscription_update][products]")
    return {
        "adjustable_quantity": {"enabled": False, "maximum": None, "minimum": 1},
        "prices": given["prices"],
        "product": given["product"],
    }

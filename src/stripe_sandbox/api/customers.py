"""``/v1/customers``. Leaves payment methods of a customer to ``payment_methods``."""

from stripe_sandbox import clocks, payment
from stripe_sandbox.api import changes, lists, payment_methods
from stripe_sandbox.api.routes import LIST, endpoint
from stripe_sandbox.billing import standing, taxing
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError, missing, only
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import catalog
from stripe_sandbox.store import field_is

_PLAIN = ("description", "email", "name", "phone")
_TAKES = (
    *_PLAIN,
    "address",
    "shipping",
    "metadata",
    "preferred_locales",
    "tax_exempt",
    "invoice_settings",
    "balance",
    "tax",
)


@endpoint("POST", "/v1/customers", *_TAKES, "test_clock", "payment_method")
def create(call: Call) -> Json:
    """Create a customer; two with the same e-mail are allowed, as at Stripe."""
    body = catalog.customer(call.now, {})
    if call.params.get("test_clock"):
        clock = call.need(clocks.KIND, call.params["test_clock"], param="test_clock", noun="testclock")
        body["test_clock"] = clock["id"]
    if "payment_method" not in call.params:
        return call.add(_filled(call, body), "customer.created")
    name, settings = call.params["payment_method"], call.params.pop("invoice_settings", {})
    method = payment_methods.named(call, name, param="payment_method")
    made = call.add(_filled(call, body), "customer.created")
    payment.attach(call, method, made["id"])
    if settings.get("default_payment_method") == name:
        settings = settings | {"default_payment_method": method["id"]}
    call.params["invoice_settings"] = settings
    return call.save(made | {"invoice_settings": _invoice_settings(call, made)})


@endpoint("GET", "/v1/customers", *LIST, "email", "test_clock")
def list_all(call: Call) -> Json:
    """List customers, optionally by exact e-mail."""
    return lists.page(call, "customer", "/v1/customers", lists.matching(call, "email", "test_clock"))


@endpoint("GET", "/v1/customers/{}")
def retrieve(call: Call) -> Json:
    """Return a customer; a deleted one as its stub."""
    found = call.store.get(call.id, "customer")
    if found is None:
        raise missing("customer", call.id)
    return found


@endpoint("POST", "/v1/customers/{}", *_TAKES)
def update(call: Call) -> Json:
    """Change a customer."""
    before = call.need("customer", call.id)
    return call.save(_filled(call, before), "customer.updated", before)


@endpoint("DELETE", "/v1/customers/{}")
def delete(call: Call) -> Json:
    """Delete a customer for good and let go of its payment methods."""
    before = call.need("customer", call.id)
    for subscription in call.store.find("subscription", [field_is("customer", call.id)]):
        if subscription["status"] not in standing.ENDED:
            standing.end(call, subscription, "cancellation_requested")
    stub = {"id": call.id, "object": "customer", "deleted": True}
    call.save(stub)
    for method in call.store.find("payment_method", [field_is("customer", call.id)]):
        call.save(method | {"customer": None})
    call.emit("customer.deleted", before)
    return stub


def _filled(call: Call, old: Json) -> Json:
    params = call.params
    body = old | changes.fields(params, *_PLAIN)
    if body["email"] is not None and "@" not in body["email"]:
        message = f"Invalid email address: {body['email']}"
        raise ApiError(message, code="email_invalid", param="email")
    if "address" in params:
        body["address"] = catalog.address(params["address"] or None)
    tax = only(params.get("tax") or {}, "tax", "validate_location")
    if tax.get("validate_location") == "immediately" and not (body["address"] or {}).get("country"):
        raise taxing.no_place("address")
    if "shipping" in params:
        given = params["shipping"]
        body["shipping"] = (
            {
                "address": catalog.address(given["address"]) or {},
                "name": given["name"],
                "phone": given.get("phone"),
            }
            if given
            else None
        )
    if "preferred_locales" in params:
        body["preferred_locales"] = params["preferred_locales"]
    if "balance" in params:
        body["balance"] = params["balance"]
    if "tax_exempt" in params:
        body["tax_exempt"] = params["tax_exempt"] or "none"
    if "invoice_settings" in params:
        body["invoice_settings"] = _invoice_settings(call, body)
    body["metadata"] = changes.metadata(params.get("metadata"), old["metadata"])
    return body


def _invoice_settings(call: Call, body: Json) -> Json:
    given = changes.fields(call.params["invoice_settings"], "default_payment_method", "footer")
    method_id = given.get("default_payment_method")
    if method_id:
        param = "invoice_settings[default_payment_method]"
        method = call.need("payment_method", method_id, param=param, noun="PaymentMethod")
        if method["customer"] != body["id"]:
            message = (
                "The customer does not have a payment method with the ID "
                f"{method_id}. The payment method must be attached to the customer."
            )
            raise ApiError(message, code="resource_missing", param=param)
    return dict(body["invoice_settings"]) | given

"""``/v1/setup_intents``. Leaves what happens to ``setup``."""

from stripe_sandbox import payment, setup
from stripe_sandbox.api import changes, lists, older, payment_methods
from stripe_sandbox.api.routes import LIST, endpoint
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json

_URL = "/v1/setup_intents"
_CONFIRM = ("payment_method", "payment_method_data", "return_url", "use_stripe_sdk", "mandate_data")


@endpoint(
    "POST",
    _URL,
    *_CONFIRM,
    "customer",
    "description",
    "metadata",
    "usage",
    "confirm",
    "automatic_payment_methods",
    older.METHOD_TYPES,
)
def create(call: Call) -> Json:
    """Create a setup intent, and confirm it at once if asked to."""
    params = call.params
    fields = changes.fields(params, "description") | {
        "metadata": changes.metadata(params.get("metadata")),
        "usage": params.get("usage", "off_session"),
    }
    if older.METHOD_TYPES in params:
        fields["payment_method_types"] = params[older.METHOD_TYPES]
    if params.get("customer"):
        fields["customer"] = call.need("customer", params["customer"], param="customer")["id"]
    body = setup.create(call, fields, {"return_url": params.get("return_url")})
    method = _method(call, body)
    if method is not None:
        body = call.save(body | {"payment_method": method["id"], "status": "requires_confirmation"})
    return _confirmed(call, body, method) if params.get("confirm") else body


@endpoint("GET", _URL, *LIST, "customer", "payment_method")
def list_all(call: Call) -> Json:
    """List setup intents."""
    return lists.page(call, "setup_intent", _URL, lists.matching(call, "customer", "payment_method"))


@endpoint("GET", _URL + "/{}", "client_secret")
def retrieve(call: Call) -> Json:
    """Return a setup intent."""
    return call.need("setup_intent", call.id)


@endpoint("POST", _URL + "/{}", "payment_method", "customer", "description", "metadata")
def update(call: Call) -> Json:
    """Change a setup intent that has not ended."""
    before = call.need("setup_intent", call.id)
    body = before | changes.fields(call.params, "customer", "description")
    body["metadata"] = changes.metadata(call.params.get("metadata"), before["metadata"])
    method = _method(call, body)
    if method is not None:
        body |= {"payment_method": method["id"], "status": "requires_confirmation"}
    return call.save(body)


@endpoint("POST", _URL + "/{}/confirm", *_CONFIRM, "client_secret")
def confirm(call: Call) -> Json:
    """Check and save the payment method."""
    body = call.need("setup_intent", call.id)
    if call.params.get("return_url"):
        call.store.note(body["id"], return_url=call.params["return_url"])
    return _confirmed(call, body, _method(call, body))


@endpoint("POST", _URL + "/{}/cancel", "cancellation_reason")
def cancel(call: Call) -> Json:
    """Cancel a setup intent that has not ended."""
    return setup.cancel(call, call.need("setup_intent", call.id), call.params.get("cancellation_reason"))


def _confirmed(call: Call, body: Json, method: Json | None) -> Json:
    if body["status"] in payment.FINAL:
        message = f"You cannot confirm this SetupIntent because it has a status of {body['status']}."
        raise ApiError(message, code="setup_intent_unexpected_state")
    if method is None and body["payment_method"]:
        method = call.need("payment_method", body["payment_method"])
    if method is None:
        message = "You cannot confirm this SetupIntent because it's missing a payment method."
        raise ApiError(message, code="setup_intent_unexpected_state")
    attempt = setup.confirm(call, body, method)
    if attempt.error is not None:
        attempt.error.extra |= {"payment_method": method, "setup_intent": attempt.intent}
        raise attempt.error
    return attempt.intent


def _method(call: Call, body: Json) -> Json | None:
    if "payment_method_data" in call.params:
        return payment_methods.from_data(call, call.params["payment_method_data"])
    name = call.params.get("payment_method")
    if not name:
        return None
    method = payment_methods.named(call, name, param="payment_method")
    if method["customer"] is not None and method["customer"] != body["customer"]:
        message = f"The provided PaymentMethod ({method['id']}) belongs to another Customer."
        raise ApiError(message, param="payment_method")
    return method

"""``/v1/payment_intents`` with automatic capture.

Leaves manual capture, mandates and saved customers' balances to a later part.
"""

from stripe_sandbox import money, payment
from stripe_sandbox.api import changes, lists, older, payment_methods
from stripe_sandbox.api.routes import LIST, endpoint
from stripe_sandbox.billing import collect
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError, unsupported
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import payments

_PLAIN = ("description", "receipt_email", "setup_future_usage", "statement_descriptor_suffix")
_CONFIRM = (
    "payment_method",
    "payment_method_data",
    "off_session",
    "return_url",
    "error_on_requires_action",
    "use_stripe_sdk",
    "mandate_data",
    "shipping",
)
_MONEY = ("amount", "currency", "customer", "metadata")
_LARGEST = 99_999_999


@endpoint(
    "POST",
    "/v1/payment_intents",
    *_PLAIN,
    *_CONFIRM,
    *_MONEY,
    "confirm",
    "automatic_payment_methods",
    "capture_method",
    "confirmation_method",
    older.METHOD_TYPES,
)
def create(call: Call) -> Json:
    """Create an intent, and confirm it at once if asked to."""
    params = call.params
    if params.get("capture_method", "automatic_async") == "manual":
        raise unsupported("capture_method")
    if not params.get("confirm"):
        for name in ("off_session", "error_on_requires_action"):
            if name in params:
                message = f"You can only pass `{name}` when `confirm=true`."
                raise ApiError(message, param=name)
    body = payments.payment_intent(
        call.now,
        {
            "amount": _amount(call),
            "currency": str(params["currency"]).lower(),
            "customer": _customer(call),
            "automatic_payment_methods": _automatic(params),
            "metadata": changes.metadata(params.get("metadata")),
            "shipping": payments.shipping(params.get("shipping")),
            **changes.fields(params, *_PLAIN),
        },
    )
    usual = ["card", payment.bank_scheme(body["currency"])]
    body["payment_method_types"] = params.get(older.METHOD_TYPES, usual)
    call.add(body, "payment_intent.created", private={"return_url": params.get("return_url")})
    method = _method(call, body)
    if method is not None:
        body = call.save(body | {"payment_method": method["id"], "status": "requires_confirmation"})
    return _confirmed(call, body, method) if params.get("confirm") else body


@endpoint("GET", "/v1/payment_intents", *LIST, "customer")
def list_all(call: Call) -> Json:
    """List intents, optionally of a customer."""
    where = lists.matching(call, "customer")
    return lists.page(call, "payment_intent", "/v1/payment_intents", where)


@endpoint("GET", "/v1/payment_intents/{}", "client_secret")
def retrieve(call: Call) -> Json:
    """Return an intent."""
    return call.need("payment_intent", call.id)


@endpoint("POST", "/v1/payment_intents/{}", *_PLAIN, *_MONEY, "payment_method", "shipping")
def update(call: Call) -> Json:
    """Change an intent that has not ended."""
    before = call.need("payment_intent", call.id)
    _need_unfinished(before, "updated", only_metadata=set(call.params) <= {"metadata", "expand"})
    body = before | changes.fields(call.params, *_PLAIN)
    if "amount" in call.params:
        body["amount"] = _amount(call)
    if "currency" in call.params:
        body["currency"] = str(call.params["currency"]).lower()
    if "customer" in call.params:
        body["customer"] = _customer(call)
    if "shipping" in call.params:
        body["shipping"] = payments.shipping(call.params["shipping"])
    body["metadata"] = changes.metadata(call.params.get("metadata"), before["metadata"])
    method = _method(call, body)
    if method is not None:
        body |= {"payment_method": method["id"], "status": "requires_confirmation"}
    return call.save(body)


@endpoint("POST", "/v1/payment_intents/{}/confirm", *_CONFIRM, "receipt_email", "client_secret")
def confirm(call: Call) -> Json:
    """Try to take the money."""
    body = call.need("payment_intent", call.id)
    _need_unfinished(body, "confirmed")
    if "receipt_email" in call.params:
        body |= {"receipt_email": call.params["receipt_email"] or None}
    if "shipping" in call.params:
        body |= {"shipping": payments.shipping(call.params["shipping"])}
    if call.params.get("return_url"):
        call.store.note(body["id"], return_url=call.params["return_url"])
    return _confirmed(call, body, _method(call, body))


@endpoint("POST", "/v1/payment_intents/{}/cancel", "cancellation_reason")
def cancel(call: Call) -> Json:
    """Cancel an intent that has not ended."""
    body = call.need("payment_intent", call.id)
    return payment.cancel(call, body, call.params.get("cancellation_reason"))


def _confirmed(call: Call, body: Json, method: Json | None) -> Json:
    if method is None and body["payment_method"]:
        method = call.need("payment_method", body["payment_method"])
    if method is None:
        message = (
            "You cannot confirm this PaymentIntent because it's missing a payment method. "
            "Update it with a payment method and confirm it again."
        )
        raise ApiError(message, code="payment_intent_unexpected_state")
    off_session = bool(call.params.get("off_session"))
    attempt = payment.confirm(call, body, method, off_session=off_session)
    collect.after(call, attempt)
    if attempt.error is not None:
        attempt.error.extra |= {"payment_intent": attempt.intent, "payment_method": method}
        raise attempt.error
    if attempt.intent["status"] == "requires_action" and call.params.get("error_on_requires_action"):
        message = "This payment required an authentication action to complete."
        raise ApiError(message, code="authentication_required")
    return attempt.intent


def _amount(call: Call) -> int:
    amount = int(call.params["amount"])
    if amount < 1:
        message = "This value must be greater than or equal to 1."
        raise ApiError(message, code="parameter_invalid_integer", param="amount")
    currency = str(call.params.get("currency", "")).lower()
    if not money.in_tens(amount, currency):
        message = (
            f"Amounts in {currency} must be divisible by 10: the last of their three decimals is always zero."
        )
        raise ApiError(message, code="parameter_invalid_integer", param="amount")
    if amount > _LARGEST:
        message = f"Amount must be no more than {_LARGEST} in minor units."
        raise ApiError(message, code="amount_too_large", param="amount")
    return amount


def _customer(call: Call) -> str | None:
    wanted = call.params.get("customer")
    return call.need("customer", wanted, param="customer")["id"] if wanted else None


def _automatic(params: Json) -> Json | None:
    given = params.get("automatic_payment_methods", {"enabled": True})
    if not given["enabled"]:
        return None
    return {"allow_redirects": given.get("allow_redirects", "always"), "enabled": True}


def _method(call: Call, body: Json) -> Json | None:
    """Return the payment method named in the parameters, checked against the customer."""
    if "payment_method_data" in call.params:
        return payment_methods.from_data(call, call.params["payment_method_data"])
    name = call.params.get("payment_method")
    if not name:
        return None
    method = payment_methods.named(call, name, param="payment_method")
    if method["customer"] is not None and method["customer"] != body["customer"]:
        message = (
            f"The provided PaymentMethod ({method['id']}) belongs to another Customer; pass "
            "that customer with the PaymentIntent."
        )
        raise ApiError(message, param="payment_method")
    return method


def _need_unfinished(body: Json, verb: str, *, only_metadata: bool = False) -> None:
    ended = body["status"] in payment.FINAL or body["status"] == "processing"
    if ended and not only_metadata:
        message = f"This PaymentIntent's status is {body['status']}, so it cannot be {verb}."
        raise ApiError(message, code="payment_intent_unexpected_state")

"""``/v1/payment_pages/{cs}``: what Stripe's own page and CLI recipes use to confirm a session.

Not in the published types, so parameters are checked here. Leaves paying to ``checkout``.
"""

from stripe_sandbox import checkout
from stripe_sandbox.api import payment_methods
from stripe_sandbox.api.routes import endpoint
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json


@endpoint("GET", "/v1/payment_pages/{}")
def retrieve(call: Call) -> Json:
    """Return the session behind the page."""
    return call.need("checkout.session", call.id)


@endpoint("POST", "/v1/payment_pages/{}/confirm", "payment_method", "expected_amount", "return_url")
def confirm(call: Call) -> Json:
    """Pay a session with a payment method."""
    session = call.need("checkout.session", call.id)
    checkout.need_open(call, session)
    expected = str(call.params.get("expected_amount", session["amount_total"]))
    if expected != str(session["amount_total"]):
        message = "The expected amount does not match the session's total."
        raise ApiError(message, code="checkout_amount_mismatch", param="expected_amount")
    method = None
    email = checkout.email_of(call, session)
    if checkout.needs_method(session):
        if "payment_method" not in call.params:
            message = "Missing required param: payment_method."
            raise ApiError(message, code="parameter_missing", param="payment_method")
        method = payment_methods.named(call, call.params["payment_method"], param="payment_method")
        email = email or method["billing_details"]["email"]
    result = checkout.pay(call, session, method, checkout.Buyer(email=email))
    if result.error is not None:
        raise result.error
    return result.session

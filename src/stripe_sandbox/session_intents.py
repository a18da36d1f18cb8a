"""The intent behind a checkout session: to pay it, or to save a payment method, made once and used for each try.

Leaves trying to ``checkout``.
"""

from stripe_sandbox import payment, setup, subscribing
from stripe_sandbox.call import Call
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import payments


def payment_of(call: Call, session: Json, method: Json) -> Json:
    """Return the payment intent of a session, or of the first invoice of its subscription."""
    if session["mode"] == "subscription":
        subscription = subscribing.begun(call, session, None)
        intent = subscribing.first_payment(call, subscription)
        assert intent is not None, session["id"]
        call.store.note(intent["id"], checkout_session=session["id"], return_url=_page(call, session))
        if method["customer"] is None and method["type"] != "card":
            payment.attach(call, method, session["customer"])
        return intent
    if session["payment_intent"]:
        return call.need("payment_intent", session["payment_intent"])
    given = call.store.private(session["id"])["payment_intent_data"]
    fields = {
        "amount": session["amount_total"],
        "currency": session["currency"],
        "customer": session["customer"],
        "description": given.get("description"),
        "metadata": given.get("metadata", {}),
        "receipt_email": given.get("receipt_email"),
        "setup_future_usage": given.get("setup_future_usage"),
        "shipping": payments.shipping(given.get("shipping")),
        "payment_method_types": session["payment_method_types"],
    }
    body = payments.payment_intent(call.now, fields)
    notes = {"checkout_session": session["id"], "return_url": _page(call, session)}
    call.add(body, "payment_intent.created", private=notes)
    call.save(session | {"payment_intent": body["id"]})
    return body


def setup_of(call: Call, session: Json) -> Json:
    """Return the setup intent of a session in which nothing is due today."""
    if session["setup_intent"]:
        return call.need("setup_intent", session["setup_intent"])
    given = call.store.private(session["id"])["setup_intent_data"]
    fields = {
        "customer": session["customer"],
        "description": given.get("description"),
        "metadata": given.get("metadata", {}),
        "payment_method_types": session["payment_method_types"],
    }
    notes = {"checkout_session": session["id"], "return_url": _page(call, session)}
    intent = setup.create(call, fields, notes)
    call.save(session | {"setup_intent": intent["id"] if session["mode"] == "setup" else None})
    return intent


def _page(call: Call, session: Json) -> str:
    return f"{call.base_url}/c/pay/{session['id']}"

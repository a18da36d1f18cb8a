"""``/v1/payment_methods``: test cards by token or number, bound to customers or let go.

Also test bank accounts, by IBAN or without a number.
"""

from stripe_sandbox import cards, payment
from stripe_sandbox.api import changes, lists
from stripe_sandbox.api.routes import LIST, endpoint
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError, missing, unsupported
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import methods

_TOKEN_EXPIRY = (12, 2034)


@endpoint("POST", "/v1/payment_methods", "type", "card", "sepa_debit", "billing_details", "metadata")
def create(call: Call) -> Json:
    """Make a payment method from a test card's number or token, or a test bank account."""
    return from_data(call, call.params)


@endpoint("GET", "/v1/payment_methods", *LIST, "customer", "type")
def list_all(call: Call) -> Json:
    """List payment methods of a customer."""
    where = lists.matching(call, "customer", "type")
    return lists.page(call, "payment_method", "/v1/payment_methods", where)


@endpoint("GET", "/v1/customers/{}/payment_methods", *LIST, "type")
def list_of_customer(call: Call) -> Json:
    """List payment methods of the customer in the path."""
    call.need("customer", call.id)
    call.params["customer"] = call.id
    where = lists.matching(call, "customer", "type")
    return lists.page(call, "payment_method", f"/v1/customers/{call.id}/payment_methods", where)


@endpoint("GET", "/v1/customers/{}/payment_methods/{}")
def retrieve_of_customer(call: Call) -> Json:
    """Return a payment method that belongs to the customer in the path."""
    method = call.need("payment_method", call.ids[1], noun="PaymentMethod")
    if method["customer"] != call.id:
        raise missing("PaymentMethod", call.ids[1])
    return method


@endpoint("GET", "/v1/payment_methods/{}")
def retrieve(call: Call) -> Json:
    """Return a payment method."""
    return call.need("payment_method", call.id, noun="PaymentMethod")


@endpoint("POST", "/v1/payment_methods/{}", "billing_details", "metadata", "card")
def update(call: Call) -> Json:
    """Change billing details, metadata or a card's expiry."""
    before = call.need("payment_method", call.id, noun="PaymentMethod")
    body = dict(before)
    if "billing_details" in call.params:
        body["billing_details"] = methods.billing_details(call.params["billing_details"])
    if "card" in call.params and body["type"] == "card":
        body["card"] = body["card"] | changes.fields(call.params["card"], "exp_month", "exp_year")
    body["metadata"] = changes.metadata(call.params.get("metadata"), before["metadata"])
    return call.save(body, "payment_method.updated", before)


@endpoint("POST", "/v1/payment_methods/{}/attach", "customer")
def attach(call: Call) -> Json:
    """Bind a payment method to a customer; a card that is always declined is refused here too."""
    method = named(call, call.id, param="id")
    customer = call.need("customer", call.params["customer"], param="customer")
    number = call.store.private(method["id"]).get("number")
    saveable = "4000000000000341"
    if number and number != saveable:
        refused = cards.decline(cards.by_number(number))
        if refused is not None:
            raise refused
    return payment.attach(call, method, customer["id"])


@endpoint("POST", "/v1/payment_methods/{}/detach")
def detach(call: Call) -> Json:
    """Let go of a payment method; it cannot be used again."""
    method = call.need("payment_method", call.id, noun="PaymentMethod")
    if method["customer"] is None:
        message = "The payment method you provided is not attached to a customer so detachment is impossible."
        raise ApiError(message)
    return payment.detach(call, method)


def from_data(call: Call, data: Json) -> Json:
    """Make a payment method from ``type`` and its details."""
    kind = data.get("type", "card")
    if kind in ("us_bank_account", "sepa_debit"):
        currency = "eur" if kind == "sepa_debit" else "usd"
        iban = str(data.get("sepa_debit", {}).get("iban", ""))
        return payment.new_bank(call, currency, data.get("billing_details"), iban)
    if kind != "card":
        raise unsupported("type")
    card = data.get("card")
    if not card:
        message = "Missing required param: card."
        raise ApiError(message, code="parameter_missing", param="card")
    month, year = card.get("exp_month"), card.get("exp_year")
    if "token" in card:
        found = cards.by_token(card["token"])
        if found is None:
            raise missing("token", card["token"], param="card[token]")
        month, year = _TOKEN_EXPIRY
    else:
        if "number" not in card or month is None or year is None:
            message = "Missing required param: card[number]."
            raise ApiError(message, code="parameter_missing", param="card[number]")
        found = cards.by_number(card["number"])
        month, year = cards.expiry(month, year, call.now)
        if "cvc" in card:
            cards.check_cvc(found, card["cvc"])
    look = cards.appearance(found, month, year)
    body = payment.new_card(call, found, look, data.get("billing_details"))
    if data.get("metadata"):
        body = call.save(body | {"metadata": changes.metadata(data["metadata"])})
    return body


def named(call: Call, name: str, *, param: str) -> Json:
    """Return the payment method with an id, making one from a ``pm_card_…`` token."""
    card = cards.by_token(name)
    if card is None:
        return call.need("payment_method", name, param=param, noun="PaymentMethod")
    return payment.new_card(call, card, cards.appearance(card, *_TOKEN_EXPIRY))

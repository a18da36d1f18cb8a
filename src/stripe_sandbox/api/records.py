"""What is only read: charges, invoice payments, events, balance, account.

Leaves writing them to the engines.
"""

from stripe_sandbox import events
from stripe_sandbox.api import changes, lists
from stripe_sandbox.api.routes import LIST, endpoint
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError, missing
from stripe_sandbox.kinds import ACCOUNT_ID, Json
from stripe_sandbox.shapes import invoices
from stripe_sandbox.store import Where, field_is


@endpoint("GET", "/v1/charges", *LIST, "customer", "payment_intent")
def list_charges(call: Call) -> Json:
    """List charges."""
    where = lists.matching(call, "customer", "payment_intent")
    return lists.page(call, "charge", "/v1/charges", where)


@endpoint("GET", "/v1/charges/{}")
def retrieve_charge(call: Call) -> Json:
    """Return a charge."""
    return call.need("charge", call.id)


@endpoint("POST", "/v1/charges/{}", "metadata", "description")
def update_charge(call: Call) -> Json:
    """Change a charge's metadata or description."""
    before = call.need("charge", call.id)
    body = before | changes.fields(call.params, "description")
    body["metadata"] = changes.metadata(call.params.get("metadata"), before["metadata"])
    return call.save(body, "charge.updated", before)


@endpoint("GET", "/v1/invoice_payments", *LIST, "invoice", "payment", "status")
def list_invoice_payments(call: Call) -> Json:
    """List payments of invoices, by invoice or by payment intent."""
    where = lists.matching(call, "invoice", "status")
    payment = call.params.get("payment", {})
    if "payment_intent" in payment:
        where.append(field_is("payment.payment_intent", payment["payment_intent"]))
    return lists.page(call, "invoice_payment", "/v1/invoice_payments", where)


@endpoint("GET", "/v1/invoice_payments/{}")
def retrieve_invoice_payment(call: Call) -> Json:
    """Return a payment of an invoice."""
    return call.need("invoice_payment", call.id)


@endpoint("GET", "/v1/balance_transactions/{}")
def retrieve_balance_transaction(call: Call) -> Json:
    """Return an entry of the account's balance."""
    return call.need("balance_transaction", call.id)


@endpoint("GET", "/v1/balance_transactions", *LIST, "type", "source", "currency")
def list_balance_transactions(call: Call) -> Json:
    """List entries of the account's balance."""
    where = lists.matching(call, "type", "source", "currency")
    return lists.page(call, "balance_transaction", "/v1/balance_transactions", where)


@endpoint("GET", "/v1/events", *LIST, "type", "types", "delivery_success")
def list_events(call: Call) -> Json:
    """List events by type and by whether every endpoint has got them."""
    params = call.params
    if "type" in params and "types" in params:
        message = "You may only specify one of these parameters: type, types."
        raise ApiError(message, param="types")
    where: list[Where] = []
    types = params.get("types", [params["type"]] if "type" in params else [])
    if types:
        where.append(events.of_types(types))
    if "delivery_success" in params:
        where.append(events.with_delivery(success=params["delivery_success"]))
    page = lists.page(call, "event", "/v1/events", where)
    page["data"] = [events.rendered(call.store, event) for event in page["data"]]
    return page


@endpoint("GET", "/v1/events/{}")
def retrieve_event(call: Call) -> Json:
    """Return an event."""
    return events.rendered(call.store, call.need("event", call.id))


@endpoint("GET", "/v1/balance")
def balance(call: Call) -> Json:
    """Return what the account holds, in minor units of each currency."""
    sums: dict[str, int] = {}
    for entry in call.store.find("balance_transaction"):
        sums[entry["currency"]] = sums.get(entry["currency"], 0) + entry["net"]
    available = [
        {"amount": amount, "currency": currency, "source_types": {"card": amount}}
        for currency, amount in sorted((sums or {"usd": 0}).items())
    ]
    pending = [{"amount": 0, "currency": row["currency"], "source_types": {"card": 0}} for row in available]
    return {"object": "balance", "available": available, "livemode": False, "pending": pending}


@endpoint("GET", "/v1/account")
def account(_call: Call) -> Json:
    """Return the one account."""
    return invoices.account()


@endpoint("GET", "/v1/accounts/{}")
def account_by_id(call: Call) -> Json:
    """Return the one account by its id."""
    if call.id != ACCOUNT_ID:
        raise missing("account", call.id)
    return invoices.account()

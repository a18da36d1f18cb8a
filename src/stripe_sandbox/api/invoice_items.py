"""``/v1/invoiceitems``: what waits for a customer's next invoice, or goes on a draft at once."""

from stripe_sandbox.api import changes, lists
from stripe_sandbox.api.routes import LIST, endpoint
from stripe_sandbox.billing import lines, totals
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError, only
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import lines as shapes
from stripe_sandbox.store import Where, field_is

_URL = "/v1/invoiceitems"
_MONEY = ("amount", "currency", "pricing", "quantity", "unit_amount_decimal")
_TAKES = ("description", "discountable", "metadata", "period")


@endpoint("POST", _URL, *_MONEY, *_TAKES, "customer", "invoice", "subscription")
def create(call: Call) -> Json:
    """Add an amount or a one-time price."""
    params = call.params
    customer = call.need("customer", params.get("customer", ""), param="customer")
    body = shapes.invoice_item(call.now, customer, _fields(call, params))
    if "subscription" in params:
        owner = call.need("subscription", params["subscription"], param="subscription")
        body["parent"] = shapes.of_subscription(owner["id"], None)
    if "invoice" in params:
        draft = _draft(call, params["invoice"])
        body["invoice"] = draft["id"]
        call.add(body, "invoiceitem.created")
        _redraw(call, draft)
        return body
    return call.add(body, "invoiceitem.created")


@endpoint("GET", _URL, *LIST, "customer", "invoice", "pending")
def list_all(call: Call) -> Json:
    """List invoice items; ``pending`` ones are on no invoice yet."""
    where = lists.matching(call, "customer", "invoice")
    if "pending" in call.params:
        waits = "json_extract(body, '$.invoice') IS " + ("NULL" if call.params["pending"] else "NOT NULL")
        where.append(Where(waits))
    return lists.page(call, "invoiceitem", _URL, where)


@endpoint("GET", _URL + "/{}")
def retrieve(call: Call) -> Json:
    """Return an invoice item."""
    return call.need("invoiceitem", call.id)


@endpoint("POST", _URL + "/{}", "amount", "quantity", *_TAKES)
def update(call: Call) -> Json:
    """Change an invoice item that is on no final invoice."""
    before = call.need("invoiceitem", call.id)
    draft = _draft(call, before["invoice"]) if before["invoice"] else None
    after = before | changes.fields(
        call.params, "amount", "quantity", "description", "discountable", "period"
    )
    after["quantity_decimal"] = str(after["quantity"])
    after["metadata"] = changes.metadata(call.params.get("metadata"), before["metadata"])
    call.save(after)
    if draft is not None:
        _redraw(call, draft)
    return after


@endpoint("DELETE", _URL + "/{}")
def delete(call: Call) -> Json:
    """Delete an invoice item that is on no final invoice."""
    found = call.need("invoiceitem", call.id)
    draft = _draft(call, found["invoice"]) if found["invoice"] else None
    stub = {"id": call.id, "object": "invoiceitem", "deleted": True}
    call.save(stub)
    call.emit("invoiceitem.deleted", found)
    if draft is not None:
        _redraw(call, draft)
    return stub


def previewed(call: Call, customer: Json) -> list[Json]:
    """Write down the invoice items of a preview's request; returns all that wait for the customer."""
    for place, given in enumerate(call.params.get("invoice_items", [])):
        only(given, f"invoice_items[{place}]", *_MONEY, *_TAKES, "price")
        if "price" in given:
            given["pricing"] = {"price": given.pop("price")}
        call.store.add(shapes.invoice_item(call.now, customer, _fields(call, given)), created=call.now)
    return lines.waiting_for(call, customer["id"], None)


def _fields(call: Call, given: Json) -> Json:
    fields = changes.fields(given, "description", "period")
    fields["discountable"] = given.get("discountable", given.get("amount", 0) >= 0)
    fields["metadata"] = changes.metadata(given.get("metadata"))
    quantity = given.get("quantity", 1)
    if "pricing" in given:
        price = call.need("price", given["pricing"].get("price", ""), param="pricing[price]")
        if price["recurring"]:
            message = (
                "The price specified is set to `type=recurring` but this field only accepts `type=one_time`."
            )
            raise ApiError(message, param="pricing[price]")
        name = call.need("product", price["product"])["name"]
        fields |= {
            "amount": price["unit_amount"] * quantity,
            "currency": price["currency"],
            "pricing": shapes.pricing(price),
        }
        fields["description"] = fields.get("description") or name
    elif "amount" in given:
        fields |= {"amount": given["amount"], "currency": str(given.get("currency", "usd")).lower()}
    else:
        message = "You must pass one of `amount` or `pricing`."
        raise ApiError(message, code="parameter_missing", param="amount")
    return fields | {"quantity": quantity}


def _draft(call: Call, invoice_id: str) -> Json:
    found = call.need("invoice", invoice_id, param="invoice")
    if found["status"] != "draft":
        message = "This invoice is no longer editable"
        raise ApiError(message, code="invoice_not_editable", param="invoice")
    return found


def _redraw(call: Call, draft: Json) -> None:
    """Make the lines of a draft anew from its invoice items, leaving those of the period."""
    kept = [line for line in draft["lines"]["data"] if not _of_item(line)]
    items = call.store.find("invoiceitem", [field_is("invoice", draft["id"])], oldest_first=True)
    made = [lines.of_invoice_item(call, item) | {"invoice": draft["id"]} for item in items]
    body = draft | {"lines": draft["lines"] | {"data": [*made, *kept]}}
    if items and not kept:
        body["currency"] = items[0]["currency"]
    call.save(totals.computed(call, body), "invoice.updated", draft)


def _of_item(line: Json) -> bool:
    parent = line["parent"]
    details = parent["invoice_item_details"] or parent["subscription_item_details"]
    return details["invoice_item"] is not None

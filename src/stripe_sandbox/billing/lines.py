"""Which lines an invoice gets: items of a subscription for a period, and invoice items that wait.

Leaves their bodies to ``shapes.lines`` and the sums to ``totals``.
"""

from stripe_sandbox import money
from stripe_sandbox.call import Call
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import lines as shapes
from stripe_sandbox.store import Where, field_is

DRAFT = ""
"""Stands for the invoice that is still to be made."""


def of_item(
    call: Call, item: Json, metadata: Json, *, amount: int | None = None, trial: bool = False
) -> Json:
    """Return the line for an item's current period; `amount` replaces price times quantity."""
    price, quantity = item["price"], item["quantity"]
    name = call.need("product", price["product"])["name"]
    recurring = price["recurring"]
    each = f"{money.shown(price['unit_amount'], price['currency'])} / {recurring['interval']}"
    full = price["unit_amount"] * quantity if amount is None else amount
    return shapes.line(
        DRAFT,
        {
            "amount": 0 if trial else full,
            "currency": price["currency"],
            "description": f"Trial period for {name}" if trial else f"{quantity} \u00d7 {name} (at {each})",
            "discountable": not trial,
            "metadata": dict(metadata),
            "parent": shapes.of_subscription_item(item),
            "period": {"end": item["current_period_end"], "start": item["current_period_start"]},
            "pricing": shapes.pricing(price),
            "quantity": quantity,
            "subscription": item["subscription"],
        },
    )


def of_invoice_item(call: Call, waiting: Json) -> Json:
    """Return the line for an invoice item; a proration points to the subscription's item."""
    details = waiting["parent"]["subscription_details"] if waiting["parent"] else None
    parent = shapes.of_invoice_item(waiting)
    subscription = details["subscription"] if details else None
    metadata = dict(waiting["metadata"])
    if details and details.get("subscription_item"):
        item = {"id": details["subscription_item"], "subscription": subscription}
        parent = shapes.of_subscription_item(item, invoice_item=waiting["id"], proration=waiting["proration"])
        owner = call.store.get(details["subscription"], "subscription")
        metadata = dict(owner["metadata"]) if owner else metadata
    return shapes.line(
        DRAFT,
        {
            "amount": waiting["amount"],
            "currency": waiting["currency"],
            "description": waiting["description"],
            "discountable": waiting["discountable"],
            "metadata": metadata,
            "parent": parent,
            "period": waiting["period"],
            "pricing": waiting["pricing"],
            "quantity": waiting["quantity"],
            "subscription": subscription,
        },
    )


def waiting_for(call: Call, customer_id: str, subscription_id: str | None) -> list[Json]:
    """Return the invoice items that the next invoice takes: of a subscription, or of none."""
    path = "json_extract(body, '$.parent.subscription_details.subscription')"
    owner = Where(f"{path} IS ?", (subscription_id,))
    open_ones = Where("json_extract(body, '$.invoice') IS NULL")
    where = [field_is("customer", customer_id), open_ones, owner]
    return call.store.find("invoiceitem", where, oldest_first=True)

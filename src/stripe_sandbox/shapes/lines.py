"""Bodies of invoice lines and invoice items. Leaves which lines there are to ``billing``."""

from stripe_sandbox.ids import new_id
from stripe_sandbox.kinds import Json


def line(invoice_id: str, fields: Json) -> Json:
    """Return an invoice line; `fields` holds amount, currency, description, period and parent."""
    body: Json = {
        "id": new_id("il"),
        "object": "line_item",
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": invoice_id,
        "livemode": False,
        "metadata": {},
        "pretax_credit_amounts": [],
        "pricing": None,
        "quantity": 1,
        "quantity_decimal": "1",
        "subscription": None,
        "taxes": [],
    }
    body |= fields
    body["quantity_decimal"] = str(body["quantity"])
    body["subtotal"] = body["amount"]
    return body


def pricing(price: Json) -> Json:
    """Return where an amount comes from."""
    return {
        "price_details": {"price": price["id"], "product": price["product"]},
        "type": "price_details",
        "unit_amount_decimal": price["unit_amount_decimal"],
    }


def of_subscription_item(item: Json, *, invoice_item: str | None = None, proration: bool = False) -> Json:
    """Return the ``parent`` of a line that bills a subscription's item."""
    details = {"credited_items": None}
    return {
        "invoice_item_details": None,
        "subscription_item_details": {
            "invoice_item": invoice_item,
            "proration": proration,
            "proration_details": details,
            "subscription": item["subscription"],
            "subscription_item": item["id"],
        },
        "type": "subscription_item_details",
    }


def of_invoice_item(invoice_item: Json) -> Json:
    """Return the ``parent`` of a line that bills an invoice item."""
    parent = invoice_item["parent"]
    details = parent["subscription_details"] if parent else None
    return {
        "invoice_item_details": {
            "invoice_item": invoice_item["id"],
            "proration": invoice_item["proration"],
            "proration_details": {"credited_items": None},
            "subscription": details["subscription"] if details else None,
        },
        "subscription_item_details": None,
        "type": "invoice_item_details",
    }


def invoice_item(now: int, customer: Json, fields: Json) -> Json:
    """Return an invoice item; `fields` holds amount and currency."""
    body: Json = {
        "id": new_id("ii"),
        "object": "invoiceitem",
        "customer": customer["id"],
        "customer_account": None,
        "date": now,
        "description": None,
        "discountable": True,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": {},
        "parent": None,
        "period": {"end": now, "start": now},
        "pricing": None,
        "proration": False,
        "quantity": 1,
        "quantity_decimal": "1",
        "tax_rates": [],
        "test_clock": customer["test_clock"],
    }
    body |= fields
    body["quantity_decimal"] = str(body["quantity"])
    return body


def of_subscription(subscription_id: str, item_id: str | None) -> Json:
    """Return the ``parent`` of an invoice item that belongs to a subscription."""
    details: Json = {"subscription": subscription_id}
    if item_id:
        details["subscription_item"] = item_id
    return {"subscription_details": details, "type": "subscription_details"}

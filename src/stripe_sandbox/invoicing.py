"""Makes the paid invoice that a checkout session in payment mode asks for as a receipt.

Leaves invoices of subscriptions, and those made by hand, to ``billing``.
"""

from stripe_sandbox.billing import invoices, lines
from stripe_sandbox.call import Call
from stripe_sandbox.ids import new_id
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import invoices as shapes
from stripe_sandbox.shapes import lines as line_shapes


def for_session(call: Call, session: Json, intent: Json | None) -> Json:
    """Create, finalise and mark as paid the invoice of a paid (or free) session.

    One-off invoices have ``billing_reason: manual`` and the session's invoice metadata.
    """
    customer = call.need("customer", session["customer"])
    wanted = session["invoice_creation"]["invoice_data"]
    notes = call.store.private(session["id"])
    fields = {
        "automatic_tax": session["automatic_tax"] | {"disabled_reason": None},
        "currency": session["currency"],
        "custom_fields": wanted["custom_fields"],
        "description": wanted["description"],
        "discounts": notes.get("discounts", []),
        "footer": wanted["footer"],
        "metadata": wanted["metadata"] or {},
    }
    billed = [_line(call, item) for item in notes["line_items"]]
    draft = invoices.composed(call, customer, [], billed, fields)
    call.add(draft, "invoice.created")
    opened = _opened(call, draft, customer)
    if intent is not None:
        entry = shapes.invoice_payment(call.now, opened, intent)
        call.add(entry, "invoice_payment.paid")
    paid = opened | {
        "status": "paid",
        "attempted": True,
        "attempt_count": 1 if intent is not None else 0,
        "amount_paid": opened["amount_due"],
        "amount_remaining": 0,
        "status_transitions": opened["status_transitions"] | {"paid_at": call.now},
    }
    call.save(paid)
    call.emit("invoice.paid", paid)
    call.emit("invoice.payment_succeeded", paid)
    return paid


def _opened(call: Call, draft: Json, customer: Json) -> Json:
    sequence = customer["next_invoice_sequence"]
    call.save(customer | {"next_invoice_sequence": sequence + 1})
    page = f"{call.base_url}/i/{draft['id']}"
    opened = draft | {
        "status": "open",
        "number": f"{customer['invoice_prefix']}-{sequence:04d}",
        "effective_at": call.now,
        "hosted_invoice_url": page,
        "status_transitions": draft["status_transitions"] | {"finalized_at": call.now},
    }
    return call.save(opened, "invoice.finalized")


def _line(call: Call, item: Json) -> Json:
    """Return the invoice line for one line item of a session."""
    details = {
        "invoice_item": new_id("ii"),
        "proration": False,
        "proration_details": None,
        "subscription": None,
    }
    parent = {
        "invoice_item_details": details,
        "subscription_item_details": None,
        "type": "invoice_item_details",
    }
    return line_shapes.line(
        lines.DRAFT,
        {
            "amount": item["amount_subtotal"],
            "currency": item["currency"],
            "description": item["description"],
            "metadata": dict(item["metadata"]),
            "parent": parent,
            "period": {"end": call.now, "start": call.now},
            "pricing": line_shapes.pricing(item["price"]),
            "quantity": item["quantity"],
        },
    )

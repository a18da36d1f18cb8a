"""Makes the paid invoice that a checkout session in payment mode asks for as a receipt.

Leaves subscription invoices to a later part.
"""

from stripe_sandbox.call import Call
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import invoices


def for_session(call: Call, session: Json, intent: Json | None) -> Json:
    """Create, finalise and mark as paid the invoice of a paid (or free) session.

    One-off invoices have ``billing_reason: manual`` and the session's invoice metadata.
    """
    customer = call.need("customer", session["customer"])
    wanted = session["invoice_creation"]["invoice_data"]
    draft = invoices.invoice(
        call.now,
        customer,
        {
            "currency": session["currency"],
            "description": wanted["description"],
            "footer": wanted["footer"],
            "metadata": wanted["metadata"] or {},
            "custom_fields": wanted["custom_fields"],
            **_amounts(session["amount_total"], paid=False),
        },
    )
    items = call.store.private(session["id"])["line_items"]
    draft["lines"]["data"] = [invoices.invoice_line(call.now, draft["id"], item) for item in items]
    call.add(draft, "invoice.created")
    opened = _finalise(call, draft, customer)
    if intent is not None:
        entry = invoices.invoice_payment(call.now, opened, intent)
        call.add(entry, "invoice_payment.paid")
    total = session["amount_total"]
    paid = opened | {
        "status": "paid",
        "attempted": True,
        "attempt_count": 1 if intent is not None else 0,
        "status_transitions": opened["status_transitions"] | {"paid_at": call.now},
        **_amounts(total, paid=True),
    }
    call.save(paid)
    call.emit("invoice.paid", paid)
    call.emit("invoice.payment_succeeded", paid)
    return paid


def _finalise(call: Call, draft: Json, customer: Json) -> Json:
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


def _amounts(total: int, *, paid: bool) -> Json:
    return {
        "amount_due": total,
        "amount_paid": total if paid else 0,
        "amount_remaining": 0 if paid else total,
        "subtotal": total,
        "subtotal_excluding_tax": total,
        "total": total,
        "total_excluding_tax": total,
    }

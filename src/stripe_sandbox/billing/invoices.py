"""An invoice from draft to open, then paid, void or uncollectible, without taking money.

Source: docs.stripe.com/invoicing/integration/workflow-transitions. Leaves charging to ``collect``.
"""

from collections.abc import Sequence

from stripe_sandbox import alarms, payment
from stripe_sandbox.billing import lines as making
from stripe_sandbox.billing import totals
from stripe_sandbox.billing.periods import DAY, HOUR
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import invoices as shapes
from stripe_sandbox.shapes import payments
from stripe_sandbox.store import field_is

FINALIZE, RETRY, OVERDUE = "invoice.finalize", "invoice.retry", "invoice.overdue"


def draft(call: Call, customer: Json, waiting: Sequence[Json], lines: Sequence[Json], fields: Json) -> Json:
    """Write down a draft with `lines` and with invoice items that wait; they belong to it from now on."""
    body = composed(call, customer, waiting, lines, fields)
    call.add(body, "invoice.created")
    for item in waiting:
        call.save(item | {"invoice": body["id"]})
    if body["automatically_finalizes_at"]:
        alarms.put(call, body["id"], FINALIZE, body["automatically_finalizes_at"])
    return body


def composed(
    call: Call, customer: Json, waiting: Sequence[Json], lines: Sequence[Json], fields: Json
) -> Json:
    """Return the body of a draft without writing it down."""
    body = shapes.invoice(call.now, customer, {"test_clock": customer["test_clock"]} | fields)
    every = [*(making.of_invoice_item(call, item) for item in waiting), *lines]
    body["lines"]["data"] = [line | {"invoice": body["id"]} for line in every]
    return totals.computed(call, body)


def finalize(call: Call, invoice: Json) -> Json:
    """Turn a draft into an open invoice with a number, a page and, if money is due, a payment."""
    if invoice["status"] != "draft":
        message = f"This invoice is already finalized, you can't re-finalize a {invoice['status']} invoice."
        raise ApiError(message, code="invoice_not_editable")
    alarms.drop(call, invoice["id"], FINALIZE)
    customer = call.need("customer", invoice["customer"])
    balance, total = customer["balance"], invoice["total"]
    sequence = customer["next_invoice_sequence"]
    ending = totals.balance_after(total, balance)
    after = customer | {"next_invoice_sequence": sequence + 1, "balance": ending}
    call.save(after, "customer.updated" if ending != balance else None, customer)
    page = f"{call.base_url}/i/{invoice['id']}"
    opened = invoice | {
        "status": "open",
        "number": f"{customer['invoice_prefix']}-{sequence:04d}",
        "automatically_finalizes_at": None,
        "effective_at": call.now,
        "starting_balance": balance,
        "ending_balance": ending,
        "hosted_invoice_url": page,
        "invoice_pdf": f"{page}/pdf",
        "status_transitions": invoice["status_transitions"] | {"finalized_at": call.now},
        **totals.due(total, balance),
    }
    if opened["collection_method"] == "send_invoice":
        days = call.store.private(opened["id"]).get("days_until_due", 30)
        opened["due_date"] = opened["due_date"] or call.now + days * DAY
        alarms.put(call, opened["id"], OVERDUE, opened["due_date"])
    call.save(opened, "invoice.finalized")
    if opened["amount_due"]:
        _ask_for_payment(call, opened)
    return opened


def payment_of(call: Call, invoice_id: str) -> Json | None:
    """Return the default payment of an invoice, if it has one."""
    where = [field_is("invoice", invoice_id), field_is("is_default", 1)]
    found = call.store.find("invoice_payment", where, limit=1)
    return found[0] if found else None


def intent_of(call: Call, invoice_id: str) -> Json | None:
    """Return the payment intent of an invoice, if it has one."""
    link = payment_of(call, invoice_id)
    return call.need("payment_intent", link["payment"]["payment_intent"]) if link else None


def paid(call: Call, invoice: Json, *, out_of_band: bool = False) -> Json:
    """Mark an invoice as paid: by its payment, by nothing being due, or outside of Stripe."""
    link = payment_of(call, invoice["id"])
    if link is not None and not out_of_band:
        entered = link["status_transitions"] | {"paid_at": call.now}
        done = link | {"status": "paid", "amount_paid": invoice["amount_due"], "status_transitions": entered}
        call.save(done, "invoice_payment.paid")
    body = invoice | {
        "status": "paid",
        "attempted": True,
        "auto_advance": False,
        "amount_paid": invoice["amount_due"],
        "amount_remaining": 0,
        "next_payment_attempt": None,
        "status_transitions": invoice["status_transitions"] | {"paid_at": call.now},
    }
    if out_of_band:
        body["amount_paid_off_stripe"] = invoice["amount_due"]
        _cancel_payment(call, link)
    _stop(call, body)
    call.save(body, "invoice.paid")
    if not out_of_band:
        call.emit("invoice.payment_succeeded", body)
    return body


def void(call: Call, invoice: Json) -> Json:
    """Void an open invoice: it counts as if it had never been sent."""
    _need(invoice, "voided", "open", "uncollectible")
    return _closed(call, invoice, "void", "voided_at", "invoice.voided")


def uncollectible(call: Call, invoice: Json) -> Json:
    """Give an open invoice up as bad debt; it can still be paid."""
    _need(invoice, "marked as uncollectible", "open")
    body = invoice | {
        "status": "uncollectible",
        "auto_advance": False,
        "next_payment_attempt": None,
        "status_transitions": invoice["status_transitions"] | {"marked_uncollectible_at": call.now},
    }
    _stop(call, body)
    return call.save(body, "invoice.marked_uncollectible")


def rest(call: Call, invoice: Json) -> Json:
    """Stop all that would happen to an unpaid invoice by itself."""
    _stop(call, invoice)
    body = invoice | {"auto_advance": False, "automatically_finalizes_at": None, "next_payment_attempt": None}
    return call.save(body, "invoice.updated", invoice) if body != invoice else invoice


def finalizes_at(call: Call) -> int:
    """Return when a draft made now is finalised by itself."""
    return call.now + HOUR


def _need(invoice: Json, verb: str, *statuses: str) -> None:
    if invoice["status"] not in statuses:
        message = f"This invoice is {invoice['status']} and cannot be {verb}."
        raise ApiError(message, code="invoice_not_editable")


def _closed(call: Call, invoice: Json, status: str, moment: str, event: str) -> Json:
    body = invoice | {
        "status": status,
        "auto_advance": False,
        "next_payment_attempt": None,
        "status_transitions": invoice["status_transitions"] | {moment: call.now},
    }
    _cancel_payment(call, payment_of(call, invoice["id"]))
    _stop(call, body)
    return call.save(body, event)


def _stop(call: Call, invoice: Json) -> None:
    alarms.drop(call, invoice["id"], FINALIZE, RETRY, OVERDUE)


def _cancel_payment(call: Call, link: Json | None) -> None:
    if link is None or link["status"] != "open":
        return
    ended = link["status_transitions"] | {"canceled_at": call.now}
    call.save(link | {"status": "canceled", "status_transitions": ended})
    intent = call.need("payment_intent", link["payment"]["payment_intent"])
    if intent["status"] in payment.CONFIRMABLE:
        payment.cancel(call, intent, "void_invoice")


def _ask_for_payment(call: Call, invoice: Json) -> None:
    """Make the payment intent of an open invoice and the link between the two."""
    intent = payments.payment_intent(
        call.now,
        {
            "amount": invoice["amount_due"],
            "currency": invoice["currency"],
            "customer": invoice["customer"],
            "description": "Subscription update" if invoice["parent"] else None,
            "payment_method_types": ["card", payment.bank_scheme(invoice["currency"])],
            "setup_future_usage": "off_session" if invoice["parent"] else None,
        },
    )
    notes = {"invoice": invoice["id"], "return_url": invoice["hosted_invoice_url"]}
    call.add(intent, "payment_intent.created", private=notes)
    call.add(shapes.open_payment(call.now, invoice, intent))

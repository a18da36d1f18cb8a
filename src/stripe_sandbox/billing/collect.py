"""Collects open invoices: charges the saved method, tries again for days, and gives up as it is set.

Source: docs.stripe.com/billing/revenue-recovery and …/subscriptions/overview. What follows from a payment is
here, whoever made it: the schedule, the invoice page, the API or the buyer's bank.
"""

from stripe_sandbox import alarms, payment
from stripe_sandbox.billing import invoices, standing
from stripe_sandbox.billing.periods import DAY
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json

RETRY_DAYS = "retry_days"
AFTER_RETRIES = "after_retries"
INVOICE_AFTER_RETRIES = "invoice_after_retries"
DEFAULTS = {RETRY_DAYS: "3,5,7", AFTER_RETRIES: "cancel", INVOICE_AFTER_RETRIES: "leave"}
"""Settings of the control desk: days between tries; then ``cancel``, ``unpaid`` or ``past_due``; and whether the
invoice is left open (``leave``) or marked ``uncollectible``."""


def finalize(call: Call, invoice: Json) -> Json:
    """Finalise a draft; one with nothing due is paid thereby."""
    opened = invoices.finalize(call, invoice)
    return opened if opened["amount_due"] else settled(call, opened)


def advance(call: Call, invoice: Json) -> Json:
    """Finalise a draft, and charge or send it, as happens an hour after it was made."""
    opened = finalize(call, invoice)
    if opened["status"] != "open":
        return opened
    if opened["collection_method"] == "send_invoice":
        return send(call, opened)
    attempt(call, opened, automatic=True)
    return call.need("invoice", opened["id"])


def send(call: Call, invoice: Json) -> Json:
    """Tell that an invoice was mailed; the sandbox mails nothing."""
    call.emit("invoice.sent", invoice)
    return invoice


def attempt(call: Call, invoice: Json, method: Json | None = None, *, automatic: bool) -> ApiError | None:
    """Try to collect an open invoice; returns the refusal, if it was refused."""
    intent = invoices.intent_of(call, invoice["id"])
    assert intent is not None, invoice["id"]
    if intent["status"] == "processing":
        return None
    method = method or method_for(call, invoice)
    if method is None:
        message = (
            "There is no default_payment_method set on this Customer or Invoice. Please set one and retry."
        )
        _failed(call, invoice, automatic=automatic)
        return ApiError(message, code="invoice_payment_intent_requires_action")
    tried = payment.confirm(call, intent, method)
    after(call, tried, automatic=automatic)
    return tried.error


def method_for(call: Call, invoice: Json) -> Json | None:
    """Return what an invoice is charged to: its own, its subscription's or its customer's default."""
    subscription = standing.of_invoice(call, invoice)
    customer = call.need("customer", invoice["customer"])
    named = (
        invoice["default_payment_method"],
        subscription["default_payment_method"] if subscription else None,
        customer["invoice_settings"]["default_payment_method"],
    )
    for method_id in named:
        method = call.store.get(method_id, "payment_method") if method_id else None
        if method is not None and method["customer"] == customer["id"]:
            return method
    return None


def after(call: Call, tried: payment.Attempt, *, automatic: bool = False) -> None:
    """Carry the end of a payment over to the invoice that it was for, if any."""
    invoice_id = call.store.private(tried.intent["id"]).get("invoice")
    if invoice_id is None:
        return
    invoice = call.need("invoice", invoice_id)
    if invoice["status"] not in ("open", "uncollectible"):
        return
    status = tried.intent["status"]
    if status == "succeeded":
        settled(call, invoice, method_id=tried.intent["payment_method"])
    elif status == "processing":
        _believe(call, call.save(invoice | {"attempted": True}))
    else:
        if status == "requires_action":
            call.emit("invoice.payment_action_required", invoice)
        _failed(call, invoice, automatic=automatic)


def settled(call: Call, invoice: Json, *, out_of_band: bool = False, method_id: str | None = None) -> Json:
    """Mark an invoice as paid and put its subscription and customer in good standing."""
    body = invoices.paid(call, invoice, out_of_band=out_of_band)
    if not invoice["attempt_count"] and invoice["amount_due"] and not out_of_band:
        body = call.save(body | {"attempt_count": 1})
    subscription = standing.of_invoice(call, body)
    if subscription is not None:
        _recover(call, subscription, body, method_id)
    customer = call.store.get(body["customer"], "customer")
    if customer and customer.get("delinquent"):
        call.save(customer | {"delinquent": False}, "customer.updated", customer)
    return body


def overdue(call: Call, invoice: Json) -> None:
    """Tell that a sent invoice is overdue."""
    if invoice["status"] != "open":
        return
    call.emit("invoice.overdue", invoice)
    subscription = standing.of_invoice(call, invoice)
    if subscription is not None and subscription["status"] == "active":
        standing.become(call, subscription, "past_due")


def setting(call: Call, name: str) -> str:
    """Return one of this module's settings."""
    return call.store.setting(name) or DEFAULTS[name]


def _recover(call: Call, subscription: Json, invoice: Json, method_id: str | None) -> None:
    saves = subscription["payment_settings"]["save_default_payment_method"] == "on_subscription"
    fields = {"default_payment_method": method_id} if saves and method_id else {}
    status = subscription["status"]
    if status in ("incomplete", "past_due", "unpaid"):
        latest = subscription["latest_invoice"] == invoice["id"]
        if latest or not standing.invoices_of(call, subscription, "open"):
            status = "active"
    standing.become(call, subscription, status, **fields)


def _believe(call: Call, invoice: Json) -> None:
    """Let a subscription begin on a first payment that takes days."""
    subscription = standing.of_invoice(call, invoice)
    if subscription is not None and subscription["status"] == "incomplete":
        standing.become(call, subscription, "active")


def _failed(call: Call, invoice: Json, *, automatic: bool) -> None:
    count = invoice["attempt_count"] + (1 if automatic or not invoice["attempt_count"] else 0)
    subscription = standing.of_invoice(call, invoice)
    first = subscription is not None and subscription["status"] == "incomplete"
    days = [int(text) for text in setting(call, RETRY_DAYS).split(",") if text]
    scheduled = invoice["auto_advance"] and not first
    following = invoice["next_payment_attempt"]
    if automatic or not invoice["attempt_count"]:
        following = call.now + days[count - 1] * DAY if scheduled and count <= len(days) else None
    body = invoice | {"attempted": True, "attempt_count": count, "next_payment_attempt": following}
    if following is not None:
        alarms.put(call, body["id"], invoices.RETRY, following)
    call.save(body, "invoice.payment_failed")
    customer = call.need("customer", invoice["customer"])
    if not first and not customer["delinquent"]:
        call.save(customer | {"delinquent": True}, "customer.updated", customer)
    if subscription is None or first or subscription["status"] in standing.ENDED:
        return
    if scheduled and following is None:
        _give_up(call, subscription, body)
    elif subscription["status"] in ("active", "trialing"):
        standing.become(call, subscription, "past_due")


def _give_up(call: Call, subscription: Json, invoice: Json) -> None:
    wanted = setting(call, AFTER_RETRIES)
    if wanted == "cancel":
        standing.end(call, subscription, "payment_failed")
    else:
        standing.become(call, subscription, "unpaid" if wanted == "unpaid" else "past_due")
    left = call.need("invoice", invoice["id"])
    if setting(call, INVOICE_AFTER_RETRIES) == "uncollectible" and left["status"] == "open":
        invoices.uncollectible(call, left)

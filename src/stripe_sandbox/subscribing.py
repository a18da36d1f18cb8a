"""Begins the subscription that a checkout session in subscription mode sells.

Leaves the session itself to ``checkout``.
"""

from stripe_sandbox.billing import invoices, lines, standing, subscriptions
from stripe_sandbox.billing.pricing import Wanted
from stripe_sandbox.call import Call
from stripe_sandbox.ids import new_id
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import lines as line_shapes
from stripe_sandbox.shapes import subscriptions as shapes


def begun(call: Call, session: Json, method: Json | None) -> Json:
    """Return the session's subscription, begun if it is not yet; its first invoice may still be open."""
    notes = call.store.private(session["id"])
    if notes.get("subscription"):
        return call.need("subscription", notes["subscription"])
    customer = call.need("customer", session["customer"])
    given = notes["subscription_data"]
    fields = {
        "automatic_tax": {
            "disabled_reason": None,
            "enabled": session["automatic_tax"]["enabled"],
            "liability": None,
        },
        "default_payment_method": method["id"] if method else None,
        "description": given.get("description"),
        "metadata": given.get("metadata") or {},
        "payment_settings": shapes.payment_settings({"save_default_payment_method": "on_subscription"}),
        "trial_settings": shapes.trial_settings(given.get("trial_settings", {})),
    }
    items = notes["line_items"]
    recurring = [item for item in items if item["price"]["recurring"]]
    terms = subscriptions.Terms(
        items=[Wanted(item["price"], item["quantity"], dict(item["metadata"])) for item in recurring],
        fields=fields,
        discounts=notes["discount_sources"],
        trial_end=given.get("trial_end"),
        behavior="default_incomplete",
        extra=[_once(call, item) for item in items if not item["price"]["recurring"]],
    )
    made = subscriptions.start(call, customer, terms)
    call.store.note(session["id"], subscription=made["id"])
    return made


def paid_by_balance(call: Call, session: Json) -> bool:
    """Tell whether the customer's credit pays all of the first invoice: then a method is only saved."""
    if session["mode"] != "subscription" or call.store.private(session["id"]).get("subscription"):
        return False
    customer = call.store.get(session["customer"], "customer") if session["customer"] else None
    return customer is not None and session["amount_total"] + customer["balance"] <= 0


def first_payment(call: Call, subscription: Json) -> Json | None:
    """Return the payment intent of the first invoice; ``None`` when nothing is due."""
    return invoices.intent_of(call, subscription["latest_invoice"])


def forget(call: Call, session: Json) -> None:
    """Give up a subscription that was begun and never paid."""
    known = call.store.private(session["id"]).get("subscription")
    found = call.store.get(known, "subscription") if known else None
    if found is not None and found["status"] == "incomplete":
        standing.expire(call, found)


def _once(call: Call, item: Json) -> Json:
    """Return the invoice line of a one-time price beside the plan."""
    details = {
        "invoice_item": new_id("ii"),
        "proration": False,
        "proration_details": None,
        "subscription": None,
    }
    return line_shapes.line(
        lines.DRAFT,
        {
            "amount": item["amount_subtotal"],
            "currency": item["currency"],
            "description": item["description"],
            "parent": {
                "invoice_item_details": details,
                "subscription_item_details": None,
                "type": "invoice_item_details",
            },
            "period": {"end": call.now, "start": call.now},
            "pricing": line_shapes.pricing(item["price"]),
            "quantity": item["quantity"],
        },
    )

"""The standing of a subscription: how it becomes active, past due, unpaid, paused, and how it ends.

Source: docs.stripe.com/billing/subscriptions/overview#subscription-statuses. Leaves why to the callers.
"""

from stripe_sandbox import alarms
from stripe_sandbox.billing import invoices
from stripe_sandbox.call import Call
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import subscriptions as shapes
from stripe_sandbox.store import field_is

PERIOD_END, UPCOMING, TRIAL_WILL_END = (
    "subscription.period_end",
    "subscription.upcoming",
    "subscription.trial",
)
EXPIRE, CANCEL, RESUME = "subscription.expire", "subscription.cancel", "subscription.resume"
ENDED = frozenset({"canceled", "incomplete_expired"})
UPDATED = "customer.subscription.updated"


def of_invoice(call: Call, invoice: Json) -> Json | None:
    """Return the subscription that an invoice is for."""
    parent = invoice["parent"]
    if parent is None:
        return None
    return call.need("subscription", parent["subscription_details"]["subscription"])


def become(call: Call, subscription: Json, status: str, **fields: object) -> Json:
    """Change the status, and tell so if it is another one."""
    after = subscription | {"status": status} | fields
    if after == subscription:
        return subscription
    if status != "incomplete":
        alarms.drop(call, subscription["id"], EXPIRE)
    return call.save(after, UPDATED, subscription)


def end(call: Call, subscription: Json, reason: str, details: Json | None = None) -> Json:
    """Cancel at once; nothing is billed any more, and what waited to be billed is dropped."""
    after = subscription | {
        "status": "canceled",
        "canceled_at": subscription["canceled_at"] or call.now,
        "ended_at": call.now,
        "cancel_at_period_end": subscription["cancel_at_period_end"],
        "cancellation_details": shapes.cancellation(
            subscription["cancellation_details"]["reason"] or reason,
            details or subscription["cancellation_details"],
        ),
    }
    alarms.drop(call, subscription["id"])
    for invoice in invoices_of(call, subscription, "draft", "open"):
        invoices.rest(call, invoice)
    drop_waiting(call, subscription)
    if subscription["schedule"]:
        schedule = call.need("subscription_schedule", subscription["schedule"])
        over = {"status": "canceled", "canceled_at": call.now, "current_phase": None}
        call.save(schedule | over, "subscription_schedule.canceled", schedule)
    return call.save(after, "customer.subscription.deleted")


def drop_waiting(call: Call, subscription: Json) -> None:
    """Delete invoice items of a subscription that no invoice has taken."""
    owner = field_is("parent.subscription_details.subscription", subscription["id"])
    for item in call.store.find("invoiceitem", [owner]):
        if item["invoice"] is None:
            call.store.save({"id": item["id"], "object": "invoiceitem", "deleted": True})
            call.emit("invoiceitem.deleted", item)


def expire(call: Call, subscription: Json) -> Json:
    """Give up on a first payment that never came."""
    alarms.drop(call, subscription["id"])
    for invoice in invoices_of(call, subscription, "open"):
        invoices.void(call, invoice)
    return become(call, subscription, "incomplete_expired", ended_at=call.now)


def pause(call: Call, subscription: Json) -> Json:
    """Stop at the end of a trial for want of a payment method."""
    alarms.drop(call, subscription["id"], PERIOD_END, UPCOMING)
    after = become(call, subscription, "paused")
    call.emit("customer.subscription.paused", after)
    return after


def invoices_of(call: Call, subscription: Json, *statuses: str) -> list[Json]:
    """Return a subscription's invoices in these statuses, oldest first."""
    owner = field_is("parent.subscription_details.subscription", subscription["id"])
    return call.store.find("invoice", [owner, field_is("status", *statuses)], oldest_first=True)


def period_of(subscription: Json) -> tuple[int, int]:
    """Return the current period, which all items share."""
    item = subscription["items"]["data"][0]
    return int(item["current_period_start"]), int(item["current_period_end"])

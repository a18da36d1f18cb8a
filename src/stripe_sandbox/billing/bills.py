"""Bills a subscription: the draft of an invoice that carries what the subscription says, and its schedule.

Leaves when to bill to ``subscriptions``, ``renewing`` and ``changing``.
"""

from collections.abc import Sequence

from stripe_sandbox import alarms
from stripe_sandbox.billing import discounts, invoices, lines, standing
from stripe_sandbox.billing.periods import DAY
from stripe_sandbox.call import Call
from stripe_sandbox.kinds import Json

_UPCOMING_DAYS = 7
_TRIAL_DAYS = 3


def fields_of(call: Call, subscription: Json, reason: str) -> Json:
    """Return what a subscription gives to each of its invoices."""
    start, end = standing.period_of(subscription)
    alive = [one for one in subscription["discounts"] if not discounts.over(call, call.need("discount", one))]
    tax = {"liability": None, "provider": None, "status": "complete" if _taxed(subscription) else None}
    return {
        "auto_advance": True,
        "automatic_tax": {"disabled_reason": None, "enabled": _taxed(subscription)} | tax,
        "billing_reason": reason,
        "collection_method": subscription["collection_method"],
        "currency": subscription["currency"],
        "default_payment_method": None,
        "description": subscription["description"],
        "discounts": alive,
        "parent": {
            "quote_details": None,
            "subscription_details": {
                "metadata": dict(subscription["metadata"]),
                "subscription": subscription["id"],
            },
            "type": "subscription_details",
        },
        "period_end": end,
        "period_start": start,
    }


def period_lines(call: Call, subscription: Json) -> list[Json]:
    """Return one line for each item's current period."""
    trial = subscription["status"] == "trialing"
    items = subscription["items"]["data"]
    return [lines.of_item(call, item, subscription["metadata"], trial=trial) for item in items]


def waiting(call: Call, subscription: Json) -> list[Json]:
    """Return the invoice items that a subscription's next invoice takes."""
    customer_id = subscription["customer"]
    own = lines.waiting_for(call, customer_id, subscription["id"])
    return [*own, *lines.waiting_for(call, customer_id, None)]


def bill(
    call: Call, subscription: Json, items: Sequence[Json], billed: Sequence[Json], fields: Json
) -> tuple[Json, Json]:
    """Make a draft from invoice items and lines; returns the subscription, saved, and the draft."""
    customer = call.need("customer", subscription["customer"])
    draft = invoices.draft(call, customer, items, billed, fields)
    if subscription["days_until_due"] is not None:
        call.store.note(draft["id"], days_until_due=subscription["days_until_due"])
    kept = draft["discounts"]
    if draft["subtotal"] > 0:
        found = discounts.coupons(call, kept)
        kept = [one for one, coupon in found if coupon["duration"] != "once"]
    subscription = subscription | {"latest_invoice": draft["id"], "discounts": kept}
    return call.save(subscription), draft


def schedule(call: Call, subscription: Json) -> None:
    """Set what is to happen to a subscription by itself, from its period, trial and end."""
    _start, end = standing.period_of(subscription)
    subscription_id = subscription["id"]
    alarms.put(call, subscription_id, standing.PERIOD_END, end)
    soon = end - _UPCOMING_DAYS * DAY
    if soon > call.now:
        alarms.put(call, subscription_id, standing.UPCOMING, soon)
    if subscription["status"] == "trialing" and subscription["trial_end"]:
        told = max(call.now, subscription["trial_end"] - _TRIAL_DAYS * DAY)
        alarms.put(call, subscription_id, standing.TRIAL_WILL_END, told)
    alarms.drop(call, subscription_id, standing.CANCEL, standing.RESUME)
    if subscription["cancel_at"] and not subscription["cancel_at_period_end"]:
        alarms.put(call, subscription_id, standing.CANCEL, subscription["cancel_at"])
    pausing = subscription["pause_collection"]
    if pausing and pausing["resumes_at"]:
        alarms.put(call, subscription_id, standing.RESUME, pausing["resumes_at"])


def _taxed(subscription: Json) -> bool:
    return bool(subscription["automatic_tax"]["enabled"])

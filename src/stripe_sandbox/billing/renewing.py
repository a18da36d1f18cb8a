"""Turns a subscription over into its next period: bills it, ends a trial, or lets it end.

Source: docs.stripe.com/billing/subscriptions/billing-cycle and …/trials. Leaves charging the draft an hour
later to ``collect``.
"""

from stripe_sandbox import alarms
from stripe_sandbox.billing import bills, collect, invoices, periods, pricing, schedules, standing
from stripe_sandbox.call import Call
from stripe_sandbox.ids import new_id
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import subscriptions as shapes

_REASON = "subscription_cycle"
_RENEWS = ("active", "past_due", "trialing", "unpaid")


def turn(call: Call, subscription: Json) -> None:
    """Begin the next period of a subscription whose period is over."""
    if subscription["status"] not in _RENEWS:
        return
    _start, end = standing.period_of(subscription)
    over = subscription["cancel_at"] is not None and subscription["cancel_at"] <= end
    if subscription["cancel_at_period_end"] or over:
        standing.end(call, subscription, "cancellation_requested")
        return
    if schedules.ends(call, subscription, end):
        standing.end(call, subscription, "cancellation_requested")
        return
    if subscription["status"] == "trialing" and not can_go_on(call, subscription):
        return
    after = schedules.enter(call, _next(call, subscription, end), end)
    after["status"] = "active" if subscription["status"] == "trialing" else subscription["status"]
    after, draft = _billed(call, after)
    bills.schedule(call, after)
    call.emit(standing.UPDATED, after, subscription)
    _collection_is_paused(call, after, draft)


def moved(subscription: Json, start: int, *, anchor: int | None = None) -> Json:
    """Return a subscription in the period that begins at `start`; `anchor` begins a new cycle."""
    items = subscription["items"]["data"]
    base = subscription["billing_cycle_anchor"] if anchor is None else anchor
    end = periods.end(base, start, items[0]["price"]["recurring"])
    period = {"current_period_end": end, "current_period_start": start}
    turned = [item | period for item in items]
    return subscription | {
        "billing_cycle_anchor": base,
        "items": subscription["items"] | {"data": turned},
    }


def _next(call: Call, subscription: Json, end: int) -> Json:
    """Return a subscription in the period that begins at `end`, as its schedule wants it; a new rhythm begins anew."""
    after = schedules.at(call, subscription, end)
    old, new = subscription["items"]["data"][0]["price"], after["items"]["data"][0]["price"]
    return moved(after, end, anchor=None if pricing.rhythm(old) == pricing.rhythm(new) else end)


def preview(call: Call, subscription: Json) -> Json:
    """Return the next invoice as it stands now; nothing is written down."""
    _start, end = standing.period_of(subscription)
    after = _next(call, subscription, end)
    after["status"] = "active"
    customer = call.need("customer", subscription["customer"])
    fields = bills.fields_of(call, after, "upcoming")
    ends = subscription["cancel_at"] is not None and subscription["cancel_at"] <= end
    billed = [] if ends else bills.period_lines(call, after)
    return as_preview(
        invoices.composed(call, customer, bills.waiting(call, subscription), billed, fields), due=end
    )


def as_preview(invoice: Json, *, due: int) -> Json:
    """Return an invoice as a preview shows it: with an id that leads nowhere."""
    preview_id = new_id("upcoming_in")
    lines = [line | {"invoice": preview_id} for line in invoice["lines"]["data"]]
    return invoice | {
        "id": preview_id,
        "status": "draft",
        "number": None,
        "created": due,
        "next_payment_attempt": due + periods.HOUR,
        "lines": invoice["lines"] | {"data": lines, "url": f"/v1/invoices/{preview_id}/lines"},
    }


def tell_upcoming(call: Call, subscription: Json) -> None:
    """Tell of the invoice that is a few days away."""
    if subscription["status"] in ("active", "trialing", "past_due"):
        call.emit("invoice.upcoming", preview(call, subscription))


def tell_trial(call: Call, subscription: Json) -> None:
    """Tell that a trial is about to end."""
    if subscription["status"] == "trialing":
        call.emit("customer.subscription.trial_will_end", subscription)


def collect_again(call: Call, subscription: Json) -> None:
    """End a pause of collection whose time is over."""
    if subscription["pause_collection"] is not None:
        call.save(subscription | {"pause_collection": None}, standing.UPDATED, subscription)


def cancel_now(call: Call, subscription: Json) -> None:
    """End a subscription at the time it was to end at."""
    if subscription["status"] not in standing.ENDED:
        standing.end(call, subscription, "cancellation_requested")


def expire(call: Call, subscription: Json) -> None:
    """End a subscription whose first payment did not come in time."""
    if subscription["status"] == "incomplete":
        standing.expire(call, subscription)


def can_go_on(call: Call, subscription: Json) -> bool:
    """Tell whether a trial goes over into a paid period; if not, end or pause it."""
    customer = call.need("customer", subscription["customer"])
    method = subscription["default_payment_method"] or customer["invoice_settings"]["default_payment_method"]
    wanted = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    if method or wanted == "create_invoice" or subscription["collection_method"] == "send_invoice":
        return True
    if wanted == "cancel":
        details = shapes.cancellation(None)
        standing.end(call, subscription | {"cancellation_details": details}, "cancellation_requested")
    else:
        standing.pause(call, subscription)
    return False


def _billed(call: Call, subscription: Json) -> tuple[Json, Json]:
    fields = bills.fields_of(call, subscription, _REASON)
    pausing = subscription["pause_collection"]
    waits = subscription["status"] == "unpaid" or (pausing and pausing["behavior"] == "keep_as_draft")
    if waits:
        fields["auto_advance"] = False
    elif not pausing:
        fields["automatically_finalizes_at"] = invoices.finalizes_at(call)
    waiting = bills.waiting(call, subscription)
    return bills.bill(call, subscription, waiting, bills.period_lines(call, subscription), fields)


def _collection_is_paused(call: Call, subscription: Json, draft: Json) -> None:
    """Close the invoice of a period for which nothing is collected."""
    pausing = subscription["pause_collection"]
    if not pausing or pausing["behavior"] == "keep_as_draft" or subscription["status"] == "unpaid":
        return
    opened = collect.finalize(call, draft)
    if opened["status"] != "open":
        return
    close = invoices.void if pausing["behavior"] == "void" else invoices.uncollectible
    close(call, opened)
    alarms.drop(call, opened["id"])

"""Changes a subscription while it runs: items with proration, trial, anchor, the wish to end or to pause.

Source: docs.stripe.com/api/subscriptions/update. Leaves reading parameters to ``api``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from stripe_sandbox.billing import (
    bills,
    collect,
    pricing,
    proration,
    renewing,
    schedules,
    standing,
    subscriptions,
)
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import subscriptions as shapes

_RUNS = ("active", "past_due", "unpaid")


@dataclass(frozen=True)
class Wish:
    """What is to be another way; times in seconds since 1970."""

    fields: Json = field(default_factory=dict)
    items: Sequence[Json] | None = None
    """All items as they are to be, with their present period."""
    prorates: str = "create_prorations"
    at: int = 0
    """The moment that prorations count from."""
    trial_end: int | None = None
    anchor_now: bool = False
    behavior: str = "allow_incomplete"


def change(call: Call, subscription: Json, wish: Wish) -> Json:
    """Change a subscription, and bill at once where the change asks for it."""
    before, old = subscription, subscription["items"]["data"]
    _need_free(before, wish)
    after = _with_end(call, subscription | wish.fields, before)
    new = list(wish.items) if wish.items is not None else old
    pricing.check_together([item["price"] for item in new], param="items")
    after["items"] = subscription["items"] | {"data": new}
    trial_ends = before["status"] == "trialing" and wish.trial_end is not None and wish.trial_end <= call.now
    if trial_ends:
        subscriptions.enter(call, before["customer"], new)
        if not renewing.can_go_on(call, call.save(after | {"trial_end": call.now})):
            return call.need("subscription", after["id"])
    restarts = wish.anchor_now or trial_ends or _changes_rhythm(before, old, new)
    booked = _prorated(call, before, new, wish, restarts=restarts)
    if wish.trial_end is not None and wish.trial_end > call.now:
        after = _on_trial(call, after, wish.trial_end)
    elif restarts:
        after |= {"status": "active" if before["status"] == "trialing" else before["status"]}
        if trial_ends:
            after["trial_end"] = call.now
        after = renewing.moved(after, call.now, anchor=call.now)
    subscriptions.enter(call, before["customer"], new)
    draft = None
    if restarts or (wish.prorates == "always_invoice" and booked):
        after, draft = _drafted(call, after, whole=restarts)
    call.save(after)
    schedules.follow(call, after)
    bills.schedule(call, after)
    if after != before:
        call.emit(standing.UPDATED, after, before)
    if draft is not None:
        _collect(call, draft, wish)
    return call.need("subscription", after["id"])


def resume(call: Call, subscription: Json) -> Json:
    """Take a paused subscription up again, in a period that begins now."""
    if subscription["status"] != "paused":
        message = "Only paused subscriptions can be resumed; this one is " + subscription["status"] + "."
        raise ApiError(message)
    after = renewing.moved(subscription, call.now, anchor=call.now)
    after, draft = _drafted(call, after, whole=True)
    opened = collect.finalize(call, draft)
    if opened["status"] == "open":
        collect.attempt(call, opened, automatic=False)
    if call.need("invoice", opened["id"])["status"] == "open":
        return call.need("subscription", after["id"])
    after = call.need("subscription", after["id"])
    done = standing.become(call, after, "active")
    bills.schedule(call, done)
    call.emit("customer.subscription.resumed", done)
    return done


def cancel(call: Call, subscription: Json, *, prorate: bool, invoice_now: bool, details: Json) -> Json:
    """End a subscription at once, with credit for unused time and a last invoice if wanted."""
    if prorate and subscription["status"] in _RUNS:
        proration.credit(call, subscription, subscription["items"]["data"], call.now)
    if invoice_now and bills.waiting(call, subscription):
        subscription, draft = _drafted(call, subscription, whole=False)
        opened = collect.finalize(call, draft)
        if opened["status"] == "open":
            collect.attempt(call, opened, automatic=False)
        subscription = call.need("subscription", subscription["id"])
    return standing.end(call, subscription, "cancellation_requested", details)


def _need_free(subscription: Json, wish: Wish) -> None:
    """Raise if a schedule has the say over what is to change."""
    if not subscription["schedule"]:
        return
    wants = {
        name: wish.fields.get(name, subscription[name]) for name in ("cancel_at", "cancel_at_period_end")
    }
    if any(value != subscription[name] for name, value in wants.items()):
        message = (
            f"The subscription is managed by the subscription schedule `{subscription['schedule']}`, and updating "
            "any cancelation behavior directly is not allowed. Please update the schedule instead."
        )
        raise ApiError(message)


def _with_end(call: Call, after: Json, before: Json) -> Json:
    """Fill in what follows from the wish to end, or from taking it back."""
    if after["cancel_at_period_end"] and not before["cancel_at_period_end"]:
        _start, end = standing.period_of(before)
        after |= {"cancel_at": end}
    elif before["cancel_at_period_end"] and not after["cancel_at_period_end"]:
        after |= {"cancel_at": None}
    if after["cancel_at"] == before["cancel_at"]:
        return after
    said = after["cancellation_details"]
    wanted = after["cancel_at"] is not None
    return after | {
        "canceled_at": call.now if wanted else None,
        "cancellation_details": shapes.cancellation(
            "cancellation_requested" if wanted else None, said if wanted else None
        ),
    }


def _changes_rhythm(subscription: Json, old: Sequence[Json], new: Sequence[Json]) -> bool:
    """Tell whether a change begins a new cycle: another interval, or from free to paid."""
    if subscription["status"] not in _RUNS:
        return False
    other = pricing.rhythm(old[0]["price"]) != pricing.rhythm(new[0]["price"])
    return other or (pricing.amount(old) == 0 and pricing.amount(new) > 0)


def _prorated(call: Call, before: Json, new: Sequence[Json], wish: Wish, *, restarts: bool) -> list[Json]:
    old = before["items"]["data"]
    if wish.prorates == "none" or before["status"] not in _RUNS:
        return []
    if restarts or wish.trial_end is not None:
        paid = [item for item in old if item["price"]["unit_amount"]]
        return proration.credit(call, before, paid, wish.at)
    return proration.book(call, before, proration.changes(old, new), wish.at)


def _on_trial(call: Call, after: Json, until: int) -> Json:
    trial_start = after["trial_start"] if after["status"] == "trialing" else call.now
    start = standing.period_of(after)[0] if after["status"] == "trialing" else call.now
    period = {"current_period_end": until, "current_period_start": start}
    items = [item | period for item in after["items"]["data"]]
    return after | {
        "billing_cycle_anchor": until,
        "items": after["items"] | {"data": items},
        "status": "trialing",
        "trial_end": until,
        "trial_start": trial_start,
    }


def _drafted(call: Call, subscription: Json, *, whole: bool) -> tuple[Json, Json]:
    fields = bills.fields_of(call, subscription, "subscription_update")
    billed = bills.period_lines(call, subscription) if whole else []
    return bills.bill(call, subscription, bills.waiting(call, subscription), billed, fields)


def _collect(call: Call, draft: Json, wish: Wish) -> None:
    opened = collect.finalize(call, draft)
    if opened["status"] != "open":
        return
    if opened["collection_method"] == "send_invoice":
        collect.send(call, opened)
    elif wish.behavior == "default_incomplete":
        subscription = standing.of_invoice(call, opened)
        assert subscription is not None
        standing.become(call, subscription, "past_due")
    else:
        refusal = collect.attempt(call, opened, automatic=False)
        left = call.need("invoice", opened["id"])["status"] == "open"
        if left and wish.behavior == "error_if_incomplete":
            raise subscriptions.refused(refusal)

"""Subscription schedules: what a subscription becomes when its phase is over.

Phases begin where periods end. Source: docs.stripe.com/billing/subscriptions/subscription-schedules. Leaves reading
parameters to ``api`` and billing the new period to ``renewing``.
"""

from stripe_sandbox.billing import discounts, pricing, standing, subscriptions
from stripe_sandbox.billing.pricing import Wanted
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import schedules as shapes

KIND = "subscription_schedule"
RELEASED = "subscription_schedule.released"


def begin(call: Call, subscription: Json, metadata: Json) -> Json:
    """Put a subscription under a new schedule, which leaves it as it is."""
    if subscription["schedule"]:
        message = (
            "You cannot migrate a subscription that is already attached to a schedule: "
            f"`{subscription['schedule']}`."
        )
        raise ApiError(message, param="from_subscription")
    if subscription["status"] in (*standing.ENDED, "incomplete", "paused"):
        message = f"A subscription that is {subscription['status']} cannot be put under a schedule."
        raise ApiError(message, param="from_subscription")
    body = shapes.schedule(call.now, subscription, metadata)
    if subscription["cancel_at_period_end"]:
        body["end_behavior"] = "cancel"
    call.add(body, "subscription_schedule.created")
    call.save(subscription | {"schedule": body["id"]}, standing.UPDATED, subscription)
    return body


def release(call: Call, schedule: Json) -> Json:
    """Let go of a subscription, which goes on as it is."""
    need_active(schedule, "release")
    subscription = call.need("subscription", schedule["subscription"])
    call.save(subscription | {"schedule": None}, standing.UPDATED, subscription)
    return call.save(_released(call, schedule), RELEASED, schedule)


def cancel(call: Call, schedule: Json) -> Json:
    """End a schedule and its subscription at once."""
    need_active(schedule, "cancel")
    standing.end(call, call.need("subscription", schedule["subscription"]), "cancellation_requested")
    return call.need(KIND, schedule["id"])


def need_active(schedule: Json, verb: str) -> None:
    """Raise unless a schedule still has its subscription."""
    if schedule["status"] != "active":
        message = (
            f"You cannot {verb} a subscription schedule that is currently in the `{schedule['status']}` status. It "
            "must be in `not_started` or `active` status."
        )
        raise ApiError(message)


def at(call: Call, subscription: Json, moment: int) -> Json:
    """Return a subscription as its schedule wants it from the end of a period on; nothing is written down."""
    phase = _phase(call, subscription, moment)
    if phase is None:
        return subscription
    kept = {item["price"]["id"]: item for item in subscription["items"]["data"]}
    items = [_item(call, subscription, kept, wanted) for wanted in phase["items"]]
    given = [one["discount"] for one in phase["discounts"]]
    return subscription | {
        "automatic_tax": phase["automatic_tax"],
        "default_payment_method": phase["default_payment_method"],
        "discounts": [one for one in subscription["discounts"] if one in given],
        "items": subscription["items"] | {"data": items},
    }


def ends(call: Call, subscription: Json, moment: int) -> bool:
    """Tell whether a subscription is to end with the last phase of its schedule."""
    schedule = _of(call, subscription)
    over = schedule is not None and schedule["phases"][-1]["end_date"] <= moment
    return bool(over and schedule and schedule["end_behavior"] == "cancel")


def enter(call: Call, subscription: Json, moment: int) -> Json:
    """Move the schedule on to the phase that begins now, or let go of the subscription after the last."""
    schedule = _of(call, subscription)
    if schedule is None:
        return subscription
    if schedule["phases"][-1]["end_date"] <= moment:
        call.save(_released(call, schedule), RELEASED, schedule)
        return subscription | {"schedule": None}
    phase = _phase(call, subscription, moment)
    if phase is not None:
        dates = {"end_date": phase["end_date"], "start_date": phase["start_date"]}
        call.save(schedule | {"current_phase": dates}, "subscription_schedule.updated", schedule)
        subscriptions.enter(call, subscription["customer"], subscription["items"]["data"])
    return subscription


def alive(call: Call, given: list[Json]) -> list[Json]:
    """Return the discounts of a phase that are not over."""
    return [one for one in given if not discounts.over(call, call.need("discount", one["discount"]))]


def follow(call: Call, subscription: Json) -> None:
    """Let the phase that runs say what its subscription is now; one whose period ends otherwise drops the others."""
    schedule = _of(call, subscription)
    if schedule is None:
        return
    phase = shapes.current(subscription)
    place = schedule["phases"].index(_running(schedule))
    others = schedule["phases"][place + 1 :]
    if phase["end_date"] != schedule["current_phase"]["end_date"]:
        others = []
    dates = {"end_date": phase["end_date"], "start_date": phase["start_date"]}
    after = schedule | {"current_phase": dates, "phases": [*schedule["phases"][:place], phase, *others]}
    if after != schedule:
        call.save(after, "subscription_schedule.updated", schedule)


def _running(schedule: Json) -> Json:
    begins = schedule["current_phase"]["start_date"]
    return next(one for one in schedule["phases"] if one["start_date"] == begins)


def _of(call: Call, subscription: Json) -> Json | None:
    return call.need(KIND, subscription["schedule"]) if subscription["schedule"] else None


def _phase(call: Call, subscription: Json, moment: int) -> Json | None:
    """Return the phase that begins by `moment`, if it is not the one that runs."""
    schedule = _of(call, subscription)
    if schedule is None:
        return None
    begun = [one for one in schedule["phases"] if one["start_date"] <= moment < one["end_date"]]
    running = schedule["current_phase"]["start_date"]
    return begun[-1] if begun and begun[-1]["start_date"] != running else None


def _item(call: Call, subscription: Json, kept: dict[str, Json], wanted: Json) -> Json:
    """Return the item that a phase wants: the one of this price, or a new one."""
    if wanted["price"] in kept:
        return kept[wanted["price"]] | {"quantity": wanted["quantity"]}
    start, end = standing.period_of(subscription)
    terms = Wanted(call.need("price", wanted["price"]), wanted["quantity"], {})
    return pricing.item(call, subscription["id"], terms, start, end)


def _released(call: Call, schedule: Json) -> Json:
    return schedule | {
        "current_phase": None,
        "released_at": call.now,
        "released_subscription": schedule["subscription"],
        "status": "released",
        "subscription": None,
    }

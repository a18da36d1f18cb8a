"""Schedules of subscriptions: another plan from the next period on, which Stripe carries out to the second.

A schedule is made from the subscription as it is; it has the running period as one phase and a period of the next plan
as another, and lets go of the subscription after that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

from stripe.params import (
    SubscriptionScheduleUpdateParamsPhase,
    SubscriptionScheduleUpdateParamsPhaseDiscount,
    SubscriptionScheduleUpdateParamsPhaseItem,
)

from tallybook.domain.errors import StripeRefusedError, SubscriptionStateError
from tallybook.stripe.billing import ItemChange
from tallybook.stripe.failures import patiently
from tallybook.stripe.gateway import StripeGateway
from tallybook.stripe.readings import id_of


async def put_off(gateway: StripeGateway, change: ItemChange, *, idempotency_key: str) -> None:
    """Have a subscription's item changed when the running period is over; a change that was put off before gives way.

    Nothing is charged or given back for it: the new period is billed at its price when it begins.
    """
    price = await gateway.price(change.price_id)
    if price is None or price.interval is None:
        raise StripeRefusedError(f"Stripe has no plan's price {change.price_id}.")
    subscription = await _subscription(gateway, change.subscription_id)
    _need_to_go_on(subscription)
    found = _schedule_of(subscription)
    if found is None:
        made = await patiently(
            "subscription_schedules.create",
            lambda: gateway.v1.subscription_schedules.create_async(
                {"from_subscription": change.subscription_id}, {"idempotency_key": f"{idempotency_key}:begun"}
            ),
        )
        found = made.to_dict()
    running = _running(found)
    # What is not named here would end with the running phase: phases inherit neither discounts nor the card.
    common: SubscriptionScheduleUpdateParamsPhase = {
        "items": [],
        "automatic_tax": {"enabled": subscription["automatic_tax"]["enabled"]},
        "discounts": [_discount(one) for one in running.get("discounts") or []],
        "proration_behavior": "none",
    }
    card = id_of(subscription.get("default_payment_method"))
    if card is not None:
        common["default_payment_method"] = card
    items: list[SubscriptionScheduleUpdateParamsPhaseItem] = [
        {"price": id_of(one["price"]) or "", "quantity": one.get("quantity") or 1} for one in running["items"]
    ]
    now: SubscriptionScheduleUpdateParamsPhase = {
        **common,
        "items": items,
        "start_date": running["start_date"],
        "end_date": running["end_date"],
    }
    then: SubscriptionScheduleUpdateParamsPhase = {
        **common,
        # Whatever else is billed beside the plan goes on.
        "items": [{"price": change.price_id, "quantity": change.quantity}, *items[1:]],
        "duration": {
            "interval": cast("Literal['day', 'month', 'week', 'year']", price.interval),
            "interval_count": 1,
        },
    }
    await patiently(
        "subscription_schedules.update",
        lambda: gateway.v1.subscription_schedules.update_async(
            found["id"],
            {"phases": [now, then], "end_behavior": "release", "proration_behavior": "none"},
            {"idempotency_key": idempotency_key},
        ),
    )


async def release(gateway: StripeGateway, subscription_id: str, *, idempotency_key: str) -> None:
    """Take back what was put off: the subscription goes on as it is. Without a schedule there is nothing to do."""
    found = _schedule_of(await _subscription(gateway, subscription_id))
    if found is not None:
        await patiently(
            "subscription_schedules.release",
            lambda: gateway.v1.subscription_schedules.release_async(
                found["id"], None, {"idempotency_key": idempotency_key}
            ),
        )


async def _subscription(gateway: StripeGateway, subscription_id: str) -> dict[str, Any]:
    """A subscription right now, with the schedule that it is under."""
    found = await patiently(
        "subscriptions.retrieve",
        lambda: gateway.v1.subscriptions.retrieve_async(subscription_id, {"expand": ["schedule"]}),
    )
    return found.to_dict()


def _need_to_go_on(subscription: Mapping[str, Any]) -> None:
    """Our books may not have heard yet that it ends; a schedule would let it go on."""
    if subscription.get("cancel_at_period_end") or subscription.get("cancel_at") is not None:
        raise SubscriptionStateError(
            "It is to end: reactivate it first (a date set at Stripe is taken back there).",
            subscription_status=subscription["status"],
        )


def _schedule_of(subscription: Mapping[str, Any]) -> dict[str, Any] | None:
    schedule = subscription.get("schedule")
    return schedule if isinstance(schedule, dict) else None


def _running(schedule: Mapping[str, Any]) -> dict[str, Any]:
    begins = (schedule.get("current_phase") or {}).get("start_date")
    return next(phase for phase in schedule["phases"] if phase["start_date"] == begins)


def _discount(given: Mapping[str, Any]) -> SubscriptionScheduleUpdateParamsPhaseDiscount:
    """The discount that runs, else the coupon or code that it would be made of."""
    for name in ("discount", "promotion_code", "coupon"):
        value = id_of(given.get(name))
        if value is not None:
            return cast("SubscriptionScheduleUpdateParamsPhaseDiscount", {name: value})
    return {}

"""Begins subscriptions: trial, first invoice, first payment and what comes of it.

Source: docs.stripe.com/billing/subscriptions/overview and the ``payment_behavior`` parameter. Leaves reading
parameters to ``api`` and ``checkout``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from stripe_sandbox import alarms
from stripe_sandbox.billing import bills, collect, discounts, periods, pricing, proration, standing
from stripe_sandbox.billing.pricing import Wanted
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import subscriptions as shapes

_FIRST_PAYMENT_HOURS = 23


@dataclass(frozen=True)
class Terms:
    """What is agreed when a subscription begins; times in seconds since 1970."""

    items: Sequence[Wanted]
    fields: Json = field(default_factory=dict)
    """Fields of the subscription that are taken over as they are."""
    discounts: Sequence[Json] = ()
    trial_end: int | None = None
    anchor: int | None = None
    prorates: bool = True
    """Whether a first period that is shorter, because of `anchor`, costs less instead of nothing."""
    behavior: str = "allow_incomplete"
    extra: Sequence[Json] = ()
    """Lines of the first invoice beside the items."""


def start(call: Call, customer: Json, terms: Terms) -> Json:
    """Write down a subscription and its first invoice, and collect it as `terms` say."""
    subscription = _written(call, customer, terms)
    fields = bills.fields_of(call, subscription, "subscription_create")
    sent = subscription["collection_method"] == "send_invoice"
    if sent:
        fields["automatically_finalizes_at"] = call.now + periods.HOUR
    waiting = bills.waiting(call, subscription)
    billed = [*_first_lines(call, subscription, terms), *terms.extra]
    subscription, invoice = bills.bill(call, subscription, waiting, billed, fields)
    if not sent:
        opened = collect.finalize(call, invoice)
        if opened["status"] == "open" and terms.behavior != "default_incomplete":
            _collect(call, opened, terms.behavior)
    found = call.need("subscription", subscription["id"])
    if found["status"] == "incomplete":
        alarms.put(call, found["id"], standing.EXPIRE, call.now + _FIRST_PAYMENT_HOURS * periods.HOUR)
    return found


def _written(call: Call, customer: Json, terms: Terms) -> Json:
    pricing.check_together([wanted.price for wanted in terms.items], param="items")
    price = terms.items[0].price
    anchor = terms.trial_end or terms.anchor or call.now
    first_end = terms.trial_end or periods.end(anchor, call.now, price["recurring"])
    body = shapes.subscription(
        call.now,
        customer,
        {"billing_cycle_anchor": anchor, "currency": price["currency"]} | terms.fields,
    )
    if terms.trial_end:
        body |= {"status": "trialing", "trial_start": call.now, "trial_end": terms.trial_end}
    elif body["collection_method"] == "send_invoice":
        body["status"] = "active"
    items = [pricing.item(call, body["id"], wanted, call.now, first_end) for wanted in terms.items]
    body["items"]["data"] = items
    owner = {"customer": customer["id"], "subscription": body["id"]}
    body["discounts"] = discounts.redeem(call, terms.discounts, **owner)
    if body["cancel_at_period_end"]:
        body |= {"cancel_at": first_end, "canceled_at": call.now}
        body["cancellation_details"] = shapes.cancellation("cancellation_requested")
    if customer["currency"] is None:
        call.save(customer | {"currency": body["currency"]})
    call.add(body, "customer.subscription.created")
    for item in items:
        call.store.add(_reference(item, customer["id"]), created=call.now)
    bills.schedule(call, body)
    return body


def _reference(item: Json, customer_id: str) -> Json:
    """Return what is kept to find an item's subscription; the item itself lives in the subscription."""
    owner = {"customer": customer_id, "subscription": item["subscription"]}
    return {"id": item["id"], "object": "sandbox.item"} | owner


def enter(call: Call, customer_id: str, items: Sequence[Json]) -> None:
    """Make new items of a subscription findable by their ids."""
    for item in items:
        if call.store.get(item["id"]) is None:
            call.store.add(_reference(item, customer_id), created=call.now)


def _first_lines(call: Call, subscription: Json, terms: Terms) -> list[Json]:
    """Return the lines of the first period; one that is cut short by an anchor costs its part."""
    lines = bills.period_lines(call, subscription)
    if terms.anchor is None or terms.trial_end is not None:
        return lines
    if not terms.prorates:
        return []
    begin, end = standing.period_of(subscription)
    whole = end - periods.before(end, terms.items[0].price["recurring"])
    return [
        line | {"amount": part, "subtotal": part}
        for line in lines
        for part in [proration.part(line["amount"], end - begin, whole)]
    ]


def _collect(call: Call, opened: Json, behavior: str) -> None:
    method = collect.method_for(call, opened)
    if method is None:
        message = (
            "This customer has no attached payment source or default payment method. Please consider adding "
            "a default payment method."
        )
        raise ApiError(message, code="resource_missing")
    refusal = collect.attempt(call, opened, method, automatic=False)
    status = call.need("invoice", opened["id"])["status"]
    if behavior == "error_if_incomplete" and status == "open":
        raise refused(refusal)


def refused(refusal: ApiError | None) -> ApiError:
    """Return the refusal that leaves nothing behind, of a payment that had to be made at once."""
    message = "Your card was declined." if refusal is None else refusal.message
    code = "subscription_payment_intent_requires_action" if refusal is None else refusal.code
    return ApiError(message, status=402, code=code, kind="card_error")

"""Reads Stripe's subscriptions and invoices into plain values; their shape is that of the pinned version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import stripe

from tallybook.domain.money import Money
from tallybook.domain.payments.invoices import InvoiceLine, InvoiceReport
from tallybook.domain.payments.subscriptions import SubscriptionReport, SubscriptionStatus
from tallybook.stripe.readings import id_of, moment


def subscription(found: stripe.Subscription) -> SubscriptionReport:
    """A subscription; the period is its items', since it has none of its own."""
    raw: dict[str, Any] = found.to_dict()
    items = raw["items"]["data"]
    item = items[0]
    price = item["price"]
    amount = price.get("unit_amount")
    pausing = raw.get("pause_collection")
    metadata = raw.get("metadata") or {}
    return SubscriptionReport(
        id=raw["id"],
        customer_id=id_of(raw["customer"]) or "",
        status=SubscriptionStatus(raw["status"]),
        item_id=item["id"],
        price_id=price["id"],
        price=None if amount is None else Money(amount, price["currency"]),
        quantity=item.get("quantity") or 1,
        period_start=moment(min(one["current_period_start"] for one in items)),
        period_end=moment(max(one["current_period_end"] for one in items)),
        trial_start=_maybe_moment(raw.get("trial_start")),
        trial_end=_maybe_moment(raw.get("trial_end")),
        cancel_at_period_end=raw["cancel_at_period_end"],
        cancel_at=_maybe_moment(raw.get("cancel_at")),
        canceled_at=_maybe_moment(raw.get("canceled_at")),
        ended_at=_maybe_moment(raw.get("ended_at")),
        collection_paused=pausing is not None,
        resumes_at=_maybe_moment((pausing or {}).get("resumes_at")),
        latest_invoice_id=id_of(raw.get("latest_invoice")),
        livemode=raw["livemode"],
        our_id=metadata.get("subscription_id"),
        deployment=metadata.get("deployment"),
        created=moment(raw["created"]),
        **_coming(raw.get("schedule")),
    )


def _coming(schedule: object) -> dict[str, Any]:
    """What a schedule brings with the next period; one that was not expanded says nothing of it."""
    if not isinstance(schedule, Mapping):
        return {"schedule_id": id_of(schedule)}
    ends = (schedule.get("current_phase") or {}).get("end_date")
    phase = next((one for one in schedule["phases"] if one["start_date"] == ends), None)
    coming: dict[str, Any] = {"schedule_id": schedule["id"]}
    if phase is not None:
        [item, *_] = phase["items"]
        coming |= {"next_price_id": id_of(item["price"]), "next_quantity": item.get("quantity") or 1}
    return coming


def client_secret(found: stripe.Subscription) -> str | None:
    """What a payment form needs for the first payment, or for the card of a trial; the fields were expanded."""
    raw: dict[str, Any] = found.to_dict()
    invoice = raw.get("latest_invoice")
    if isinstance(invoice, Mapping):
        secret = (invoice.get("confirmation_secret") or {}).get("client_secret")
        if isinstance(secret, str):
            return secret
    setup = raw.get("pending_setup_intent")
    secret = setup.get("client_secret") if isinstance(setup, Mapping) else None
    return secret if isinstance(secret, str) else None


def invoice(found: stripe.Invoice, lines: Iterable[stripe.InvoiceLineItem]) -> InvoiceReport:
    """An invoice with all of its lines; its payments were expanded."""
    raw: dict[str, Any] = found.to_dict()
    return InvoiceReport(
        # A preview has no id of its own that anybody could ask for.
        id=raw.get("id") or "",
        number=raw.get("number"),
        status=raw.get("status"),
        billing_reason=raw.get("billing_reason"),
        customer_id=id_of(raw.get("customer")),
        subscription_id=_subscription_of(raw),
        currency=raw["currency"],
        total_minor=raw["total"],
        amount_due_minor=raw["amount_due"],
        amount_paid_minor=raw["amount_paid"],
        from_balance_minor=_from_balance(raw),
        hosted_invoice_url=raw.get("hosted_invoice_url"),
        attempt_count=raw.get("attempt_count") or 0,
        next_payment_attempt=_maybe_moment(raw.get("next_payment_attempt")),
        payment_intent_id=_paid_by(raw),
        livemode=raw["livemode"],
        created=moment(raw["created"]),
        lines=tuple(_line(one.to_dict()) for one in lines),
        paid_at=_maybe_moment((raw.get("status_transitions") or {}).get("paid_at")),
        tax_minor=sum(one["amount"] for one in raw.get("total_taxes") or []),
    )


def _from_balance(raw: Mapping[str, Any]) -> int:
    """A balance below zero is the customer's money; how far it rose when the invoice was made final is what it paid."""
    before, after = raw.get("starting_balance") or 0, raw.get("ending_balance")
    return 0 if after is None else max(0, min(0, after) - before)


def _line(raw: Mapping[str, Any]) -> InvoiceLine:
    parent = raw.get("parent") or {}
    of_item = parent.get("subscription_item_details")
    by_hand = parent.get("invoice_item_details")
    details = of_item or by_hand or {}
    is_proration = details.get("proration") is True
    pricing = (raw.get("pricing") or {}).get("price_details") or {}
    return InvoiceLine(
        id=raw["id"],
        # An invoice item that somebody added beside the plan is not the plan's, whatever it is called.
        subscription_id=id_of(details.get("subscription")) if of_item or is_proration else None,
        is_proration=is_proration,
        price_id=id_of(pricing.get("price")),
        amount=Money(raw["amount"], raw["currency"]),
        discount_minor=sum(one["amount"] for one in raw.get("discount_amounts") or []),
        quantity=raw.get("quantity") or 1,
        period_start=moment(raw["period"]["start"]),
        period_end=moment(raw["period"]["end"]),
    )


def _subscription_of(raw: Mapping[str, Any]) -> str | None:
    details = (raw.get("parent") or {}).get("subscription_details") or {}
    return id_of(details.get("subscription"))


def _paid_by(raw: Mapping[str, Any]) -> str | None:
    """The payment intent that paid it: the default one if several took part."""
    payments = [one for one in (raw.get("payments") or {}).get("data", []) if one.get("status") == "paid"]
    payments.sort(key=lambda one: not one.get("is_default"))
    intents = [id_of(one["payment"].get("payment_intent")) for one in payments]
    return next((intent for intent in intents if intent is not None), None)


def _maybe_moment(seconds: int | None) -> Any:
    return None if seconds is None else moment(seconds)

"""Reads Stripe's objects into plain values: the only place that knows their shape."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import stripe

from tallybook.domain.money import Money
from tallybook.domain.payments.reports import PriceReport, SessionReport


def moment(seconds: int) -> datetime:
    """Stripe's Unix seconds as an aware UTC time."""
    return datetime.fromtimestamp(seconds, UTC)


def id_of(value: object) -> str | None:
    """The id of a field that holds an object, an id or nothing, as expandable fields do."""
    if isinstance(value, Mapping):
        value = value.get("id")
    return value if isinstance(value, str) else None


def is_deleted(found: stripe.StripeObject) -> bool:
    """Whether an object is the stub that is left of a deleted one."""
    return bool(found.to_dict().get("deleted"))


def session(found: stripe.checkout.Session) -> SessionReport:
    """A Checkout Session."""
    raw: dict[str, Any] = found.to_dict()
    details = raw.get("total_details") or {}
    intent = raw.get("payment_intent")
    charge = intent.get("latest_charge") if isinstance(intent, Mapping) else None
    charge = charge if isinstance(charge, Mapping) else {}
    return SessionReport(
        id=raw["id"],
        mode=raw["mode"],
        status=raw["status"],
        payment_status=raw["payment_status"],
        amount_subtotal=raw["amount_subtotal"],
        amount_total=raw["amount_total"],
        amount_discount=details.get("amount_discount", 0),
        amount_tax=details.get("amount_tax", 0),
        currency=raw["currency"],
        customer_id=id_of(raw.get("customer")),
        payment_intent_id=id_of(intent),
        payment_intent_status=intent.get("status") if isinstance(intent, Mapping) else None,
        amount_refunded=charge.get("amount_refunded") or 0,
        charge_disputed=charge.get("disputed") is True,
        receipt_url=charge.get("receipt_url"),
        livemode=raw["livemode"],
        metadata=dict(raw.get("metadata") or {}),
        url=raw.get("url"),
        expires_at=moment(raw["expires_at"]),
        subscription_id=id_of(raw.get("subscription")),
        created=moment(raw["created"]),
    )


def price(found: stripe.Price) -> PriceReport:
    """A price whose product was expanded."""
    raw: dict[str, Any] = found.to_dict()
    product = raw["product"]
    recurring = raw.get("recurring")
    amount = raw.get("unit_amount")
    # A price of "every 3 months" is not one of ours; its interval must not pass for "every month".
    plain = recurring is None or recurring.get("interval_count", 1) == 1
    return PriceReport(
        id=raw["id"],
        product_id=product["id"],
        product_name=product.get("name") or "",
        product_description=product.get("description"),
        price=Money(amount, raw["currency"]) if amount is not None and plain else None,
        interval=recurring["interval"] if recurring else None,
        lookup_key=raw.get("lookup_key"),
        active=raw["active"],
        tax_behavior=raw.get("tax_behavior") or "unspecified",
        tax_code=id_of(product.get("tax_code")),
    )

"""Reads payment intents, setup intents, customers and their saved methods into plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import stripe

from tallybook.domain.payments.payment_intents import PaymentIntentReport
from tallybook.domain.payments.saved_methods import Purse, SavedMethod, SetupReport
from tallybook.stripe.readings import id_of


def payment_intent(found: stripe.PaymentIntent) -> PaymentIntentReport:
    """A payment intent; what was refunded is known only where its charge was expanded."""
    raw: dict[str, Any] = found.to_dict()
    charge = raw.get("latest_charge")
    seen = charge if isinstance(charge, Mapping) else {}
    error = raw.get("last_payment_error") or {}
    return PaymentIntentReport(
        id=raw["id"],
        status=raw["status"],
        amount=raw["amount"],
        amount_received=raw.get("amount_received") or 0,
        amount_refunded=seen.get("amount_refunded") or 0,
        charge_refunded=seen.get("refunded") is True,
        currency=raw["currency"],
        customer_id=id_of(raw.get("customer")),
        payment_method_id=id_of(raw.get("payment_method")),
        failure_code=error.get("decline_code") or error.get("code"),
        livemode=raw["livemode"],
        metadata=dict(raw.get("metadata") or {}),
        client_secret=raw.get("client_secret"),
        redirect_url=_redirect(raw),
        receipt_url=seen.get("receipt_url"),
    )


def setup_intent(found: stripe.SetupIntent) -> SetupReport:
    """A setup intent."""
    raw: dict[str, Any] = found.to_dict()
    error = raw.get("last_setup_error") or {}
    return SetupReport(
        id=raw["id"],
        status=raw["status"],
        customer_id=id_of(raw.get("customer")),
        method_id=id_of(raw.get("payment_method")),
        failure_code=error.get("decline_code") or error.get("code"),
        client_secret=raw.get("client_secret"),
        metadata=dict(raw.get("metadata") or {}),
    )


def purse(customer: stripe.Customer, methods: Sequence[stripe.PaymentMethod]) -> Purse:
    """A customer's saved methods and the one that is charged first."""
    raw: dict[str, Any] = customer.to_dict()
    settings = raw.get("invoice_settings") or {}
    return Purse(
        customer_id=raw["id"],
        default_id=id_of(settings.get("default_payment_method")),
        methods=tuple(_method(one.to_dict()) for one in methods),
    )


def customer_of(method: stripe.PaymentMethod) -> str | None:
    """Whose it is."""
    return id_of(method.to_dict().get("customer"))


def _redirect(raw: Mapping[str, Any]) -> str | None:
    step = (raw.get("next_action") or {}).get("redirect_to_url") or {}
    url = step.get("url")
    return url if isinstance(url, str) else None


def _method(raw: Mapping[str, Any]) -> SavedMethod:
    card = raw.get("card") or {}
    other = raw.get(raw["type"]) or {}
    return SavedMethod(
        id=raw["id"],
        kind=raw["type"],
        brand=card.get("brand"),
        last4=card.get("last4") or other.get("last4"),
        exp_month=card.get("exp_month"),
        exp_year=card.get("exp_year"),
    )

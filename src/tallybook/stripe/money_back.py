"""What Stripe says of money that went back, and the one call that gives some back; answers are plain values."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal
from uuid import UUID

from tallybook.domain.money import Money
from tallybook.domain.payments.money_back import Dispute, Refund, Report
from tallybook.stripe.failures import patiently
from tallybook.stripe.gateway import StripeGateway
from tallybook.stripe.readings import id_of, moment

INTENT_METADATA = "tallybook_refund"
"""Where a refund that we asked for names its intent."""

Kind = Literal["charge", "refund", "dispute"]
_PAGE = 100


async def payment_intent_of(gateway: StripeGateway, kind: Kind, object_id: str) -> str | None:
    """The payment intent that a charge, a refund or a dispute belongs to; None if it has none."""
    service: Any = {
        "charge": gateway.v1.charges,
        "refund": gateway.v1.refunds,
        "dispute": gateway.v1.disputes,
    }[kind]
    found = await patiently(f"{kind}s.retrieve", lambda: service.retrieve_async(object_id))
    return id_of(found.to_dict().get("payment_intent"))


async def report(gateway: StripeGateway, payment_intent_id: str, *, disputes: bool) -> Report:
    """All that went back of a payment intent, right now.

    Disputes are asked for if its charge has ever had one, or with ``disputes``.
    """
    intents = gateway.v1.payment_intents
    found = await patiently(
        "payment_intents.retrieve",
        lambda: intents.retrieve_async(payment_intent_id, {"expand": ["latest_charge"]}),
    )
    intent = found.to_dict()
    charge = intent.get("latest_charge")
    charge = charge if isinstance(charge, Mapping) else {}
    seen: tuple[Dispute, ...] | None = None
    if disputes or charge.get("disputed"):
        listed = await _all("disputes.list", gateway.v1.disputes, payment_intent_id)
        seen = tuple(dispute_of(raw) for raw in listed)
    given = await _all("refunds.list", gateway.v1.refunds, payment_intent_id)
    return Report(
        payment_intent_id=payment_intent_id,
        customer_id=id_of(intent.get("customer")),
        receipt_url=charge.get("receipt_url"),
        refunds=tuple(refund_of(raw) for raw in given),
        disputes=seen,
    )


async def refund(
    gateway: StripeGateway,
    payment_intent_id: str,
    *,
    amount_minor: int,
    reason: str | None,
    intent_id: UUID,
    idempotency_key: str,
) -> Refund:
    """Give so much of a payment back.

    Raises:
        StripeRefusedError: Stripe will not; StripeUnavailableError: unknown, ask again with the same key.
    """
    wanted: Any = {
        "payment_intent": payment_intent_id,
        "amount": amount_minor,
        "metadata": {INTENT_METADATA: str(intent_id)},
    }
    if reason is not None:
        wanted["reason"] = reason
    made = await patiently(
        "refunds.create",
        lambda: gateway.v1.refunds.create_async(wanted, {"idempotency_key": idempotency_key}),
    )
    return refund_of(made.to_dict())


async def _all(what: str, service: Any, payment_intent_id: str) -> list[dict[str, Any]]:
    """Every object of a payment intent that a service lists, page by page."""
    found: list[dict[str, Any]] = []
    wanted: dict[str, Any] = {"payment_intent": payment_intent_id, "limit": _PAGE}
    while True:
        page = await patiently(what, partial(service.list_async, wanted))
        found += [one.to_dict() for one in page.data]
        if not page.has_more:
            return found
        wanted = wanted | {"starting_after": found[-1]["id"]}


def refund_of(raw: Mapping[str, Any]) -> Refund:
    """Read a refund."""
    return Refund(
        id=raw["id"],
        amount=Money(raw["amount"], raw["currency"]),
        # Without a status it is one of the times when there were none: done.
        status=raw.get("status") or "succeeded",
        reason=raw.get("reason"),
        failure_reason=raw.get("failure_reason"),
        created_at=moment(raw["created"]),
        intent_id=_intent_id(raw.get("metadata") or {}),
    )


def _intent_id(metadata: Mapping[str, str]) -> UUID | None:
    try:
        return UUID(metadata[INTENT_METADATA])
    except (KeyError, ValueError):
        return None


def dispute_of(raw: Mapping[str, Any]) -> Dispute:
    """Read a dispute."""
    entries = raw.get("balance_transactions") or []
    return Dispute(
        id=raw["id"],
        amount=Money(raw["amount"], raw["currency"]),
        status=raw["status"],
        reason=raw["reason"],
        withdrawn=sum(entry["amount"] for entry in entries) < 0,
        created_at=moment(raw["created"]),
    )

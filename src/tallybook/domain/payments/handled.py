"""The kinds of Stripe events that are worked on; every other kind is recorded, answered 2xx and left alone."""

SESSION_TYPES = frozenset(
    {
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "checkout.session.expired",
    }
)
"""Their object is a Checkout Session."""

PAYMENT_TYPES = frozenset({"payment_intent.succeeded", "payment_intent.payment_failed"})
"""Their object is a payment intent; it leads to the session that started it, or it is foreign."""

CHARGE_TYPES = frozenset({"charge.refunded"})
"""Their object is a charge."""

REFUND_TYPES = frozenset({"charge.refund.updated", "refund.created", "refund.updated", "refund.failed"})
"""Their object is a refund, also that of ``charge.refund.updated``."""

DISPUTE_TYPES = frozenset(
    {
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
    }
)
"""Their object is a dispute, which is not a charge."""

HANDLED_TYPES = SESSION_TYPES | PAYMENT_TYPES | CHARGE_TYPES | REFUND_TYPES | DISPUTE_TYPES


def left_alone_as(event_type: str) -> str | None:
    """The outcome of an event that has no effect because of its type; None if it is worked on."""
    return None if event_type in HANDLED_TYPES else "unhandled_type"

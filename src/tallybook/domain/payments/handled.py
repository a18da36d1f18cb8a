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

HANDLED_TYPES = SESSION_TYPES | PAYMENT_TYPES

NOT_YET_HANDLED_TYPES = frozenset(
    {
        "charge.refunded",
        "charge.refund.updated",
        "refund.created",
        "refund.updated",
        "refund.failed",
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
    }
)
"""Money that goes back after the grant: kept apart from the types that never matter, to be replayed once they do."""


def left_alone_as(event_type: str) -> str | None:
    """The outcome of an event that has no effect because of its type; None if it is worked on."""
    if event_type in HANDLED_TYPES:
        return None
    return "not_yet_handled" if event_type in NOT_YET_HANDLED_TYPES else "unhandled_type"

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

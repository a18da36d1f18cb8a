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

PAYMENT_TYPES = frozenset(
    {
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
        "payment_intent.requires_action",
        "payment_intent.processing",
        "payment_intent.canceled",
    }
)
"""Their object is a payment intent: one that we started, or it leads to the session that did, or it is foreign."""

SETUP_TYPES = frozenset({"setup_intent.succeeded", "setup_intent.setup_failed"})
"""Their object is a setup intent."""

METHOD_TYPES = frozenset(
    {"payment_method.attached", "payment_method.detached", "payment_method.automatically_updated"}
)
"""Their object is a payment method."""

CUSTOMER_TYPES = frozenset({"customer.updated", "customer.deleted"})
"""Their object is a customer."""

CARD_TYPES = SETUP_TYPES | METHOD_TYPES | CUSTOMER_TYPES

CHARGE_TYPES = frozenset({"charge.refunded"})
"""Their object is a charge."""
SUBSCRIPTION_TYPES = frozenset(
    {
        "customer.subscription.created",
        "customer.subscription.updated",
        "customer.subscription.deleted",
        "customer.subscription.paused",
        "customer.subscription.resumed",
        "customer.subscription.trial_will_end",
    }
)
"""Their object is a subscription: it is projected and never grants."""

INVOICE_TYPES = frozenset(
    {
        "invoice.created",
        "invoice.finalized",
        "invoice.paid",
        "invoice.payment_succeeded",
        "invoice.payment_failed",
        "invoice.payment_action_required",
        "invoice.voided",
        "invoice.marked_uncollectible",
        "invoice.overdue",
    }
)
"""Their object is an invoice; one without a subscription is left alone. The documents name payment_succeeded."""

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

HANDLED_TYPES = (
    SESSION_TYPES
    | PAYMENT_TYPES
    | CHARGE_TYPES
    | REFUND_TYPES
    | DISPUTE_TYPES
    | SUBSCRIPTION_TYPES
    | INVOICE_TYPES
    | CARD_TYPES
)


def left_alone_as(event_type: str) -> str | None:
    """The outcome of an event that has no effect because of its type; None if it is worked on."""
    return None if event_type in HANDLED_TYPES else "unhandled_type"


def left_alone(event_type: str, *, same_mode: bool, same_account: bool) -> str | None:
    """The outcome of an event that is recorded and never worked on; None if it is worked on."""
    if not same_mode:
        return "other_mode"
    if not same_account:
        return "other_account"
    return left_alone_as(event_type)

"""What a browser sees of objects: Stripe.js gives pages fewer fields than the API gives servers.

The fields are those of ``PaymentIntent`` and ``SetupIntent`` in npm's ``@stripe/stripe-js``. What is left out here
(the customer, metadata, amounts received) would be missing at Stripe.
"""

from stripe_sandbox.kinds import Json

_OF_BOTH = (
    "id",
    "object",
    "automatic_payment_methods",
    "cancellation_reason",
    "client_secret",
    "created",
    "description",
    "livemode",
    "next_action",
    "payment_method",
    "payment_method_configuration_details",
    "payment_method_types",
    "status",
)
_FIELDS = {
    "payment_intent": (
        *_OF_BOTH,
        "amount",
        "amount_details",
        "canceled_at",
        "capture_method",
        "confirmation_method",
        "currency",
        "last_payment_error",
        "processing",
        "receipt_email",
        "setup_future_usage",
        "shipping",
    ),
    "setup_intent": (*_OF_BOTH, "last_setup_error", "usage"),
}
KINDS = frozenset(_FIELDS)
"""What has a client secret that a page may hold."""


def intent(body: Json) -> Json:
    """Return what a page sees of a payment intent or setup intent."""
    return {name: body[name] for name in _FIELDS[body["object"]] if name in body}


def error(body: Json) -> Json:
    """Return what a page sees of a refusal: the same, with the intents in it as a page sees them."""
    return body | {name: intent(body[name]) for name in KINDS & body.keys()}

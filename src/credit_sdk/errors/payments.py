"""Refusals about the catalogue, checkouts and Stripe."""

from __future__ import annotations

from credit_sdk.errors.base import CreditError


class CatalogInvalidError(CreditError):
    """The service's catalogue file is not valid."""

    default_code = "catalog_invalid"


class PriceNotFoundError(CreditError):
    """There is no such price in the catalogue."""

    default_code = "price_not_found"


class ModeMismatchError(CreditError):
    """The price cannot be bought in this mode."""

    default_code = "mode_mismatch"


class PaymentMethodUnsupportedError(CreditError):
    """The payment method is not supported."""

    default_code = "payment_method_unsupported"


class UrlNotAllowedError(CreditError):
    """The return URL is not http(s), or not on an allowed domain."""

    default_code = "url_not_allowed"


class CheckoutNotFoundError(CreditError):
    """There is no such checkout, or it is not the caller's."""

    default_code = "checkout_not_found"


class PaymentNotFoundError(CreditError):
    """There is no such payment, or it is not the caller's."""

    default_code = "payment_not_found"


class RefundNotPossibleError(CreditError):
    """The payment moved no money at Stripe."""

    default_code = "refund_not_possible"


class RefundExceedsError(CreditError):
    """More than is left of the payment; the fact ``refundable_minor`` says how much."""

    default_code = "refund_exceeds"


class PayLinkInvalidError(CreditError):
    """The payment link is not one of the service's, or was not copied whole."""

    default_code = "pay_link_invalid"


class PayLinkExpiredError(CreditError):
    """The payment link has expired: the next refusal brings a new one."""

    default_code = "pay_link_expired"


class ResumeTokenInvalidError(CreditError):
    """The resume token is for another request, key or caller than the one that was refused."""

    default_code = "resume_token_invalid"


class StripeNotConfiguredError(CreditError):
    """The service has no Stripe key."""

    default_code = "stripe_not_configured"


class StripeUnavailableError(CreditError):
    """Stripe cannot be reached: repeat in a moment with the same key."""

    default_code = "stripe_unavailable"


class StripeRefusedError(CreditError):
    """Stripe refused the request."""

    default_code = "stripe_refused"


class WebhookSecretMissingError(CreditError):
    """The service has no webhook signing secret."""

    default_code = "webhook_secret_missing"


class WebhookSignatureError(CreditError):
    """The webhook's signature is wrong."""

    default_code = "webhook_signature_invalid"


class WebhookPayloadError(CreditError):
    """The webhook's payload cannot be read."""

    default_code = "webhook_payload_invalid"


class PaymentIntentNotFoundError(CreditError):
    """There is no such payment intent, or it is not the caller's."""

    default_code = "payment_intent_not_found"


class AmountNotSoldError(CreditError):
    """An amount alone buys no credits: the service has no rate for the currency."""

    default_code = "amount_not_sold"


class PaymentMethodNotFoundError(CreditError):
    """There is no such saved payment method, or it is not the caller's."""

    default_code = "payment_method_not_found"


class TopUpRuleNotFoundError(CreditError):
    """The wallet has no auto top-up."""

    default_code = "top_up_rule_not_found"


class EventNotFoundError(CreditError):
    """There is no such event in the inbox."""

    default_code = "event_not_found"


class EventSettledError(CreditError):
    """The event is settled or being worked on, so that it cannot be given up."""

    default_code = "event_settled"


class StripeOutcomeSealedError(CreditError):
    """Stripe had a fault and remembers it: repeat, and the service makes a new attempt."""

    default_code = "stripe_outcome_sealed"


class StripeAccountMismatchError(CreditError):
    """The service's database belongs to another Stripe account or mode."""

    default_code = "stripe_account_mismatch"


class CatalogNotPushedError(CreditError):
    """The product has no Stripe price yet: an operator pushes the catalogue."""

    default_code = "catalog_not_pushed"


class SubscriptionNotFoundError(CreditError):
    """There is no such subscription, or it is not the caller's."""

    default_code = "subscription_not_found"


class AlreadySubscribedError(CreditError):
    """The user has a plan of this family already; ``facts["subscription"]`` says which."""

    default_code = "already_subscribed"


class SubscriptionSupersededError(CreditError):
    """Another attempt to subscribe took the place of this one."""

    default_code = "subscription_superseded"


class SubscriptionStateError(CreditError):
    """This cannot be done with the subscription as it is now."""

    default_code = "subscription_state"


class SubscriptionPaymentError(CreditError):
    """The payment for the change was declined; nothing was changed."""

    default_code = "subscription_payment_failed"


class PromotionCodeError(CreditError):
    """The promotion code cannot be used for this; the fact ``reason`` says why."""

    default_code = "promotion_code_invalid"


class TaxLocationRequiredError(CreditError):
    """Tax is reckoned by where the customer lives, which is not known: send an address along."""

    default_code = "tax_location_required"


class PlanChangeUnsupportedError(CreditError):
    """The plan cannot be changed to this one."""

    default_code = "plan_change_unsupported"


class FulfilmentBusyError(CreditError):
    """The customer's payments are being settled: repeat in a moment."""

    default_code = "fulfilment_busy"


class ReconciliationBusyError(CreditError):
    """Another reconciliation runs right now."""

    default_code = "reconciliation_busy"

"""Refusals about the catalogue, checkouts, webhooks and Stripe."""

from __future__ import annotations

from tallybook.domain.errors.base import BillingError


class CatalogError(BillingError):
    """The catalogue file is not valid."""

    code = "catalog_invalid"


class PriceNotFoundError(BillingError):
    """There is no such price in the catalogue."""

    code = "price_not_found"


class ModeMismatchError(BillingError):
    """This price cannot be bought in this mode: payment is for packs and packages, subscription for plans."""

    code = "mode_mismatch"


class PaymentMethodUnsupportedError(BillingError):
    """Only payment_method "stripe" is supported."""

    code = "payment_method_unsupported"


class UrlNotAllowedError(BillingError):
    """The return URL must be http(s) and on an allowed domain."""

    code = "url_not_allowed"


class CheckoutNotFoundError(BillingError):
    """There is no such checkout, or it is not yours."""

    code = "checkout_not_found"


class PayLinkInvalidError(BillingError):
    """This payment link is not one of ours, or it was not copied whole: ask the app for a new one."""

    code = "pay_link_invalid"


class PayLinkExpiredError(BillingError):
    """This payment link has expired: let the app try again, and it gets a new one."""

    code = "pay_link_expired"


class ResumeTokenInvalidError(BillingError):
    """The resume token is for another request: repeat the refused one unchanged, with its own key and caller."""

    code = "resume_token_invalid"


class StripeNotConfiguredError(BillingError):
    """Stripe is not configured: set STRIPE_SECRET_KEY (tallybook doctor explains)."""

    code = "stripe_not_configured"


class StripeUnavailableError(BillingError):
    """Stripe cannot be reached or asks to slow down: try again in a moment with the same key."""

    code = "stripe_unavailable"


class StripeOutcomeSealedError(BillingError):
    """Stripe had a fault and stored it under our key: try again, a new attempt is made."""

    code = "stripe_outcome_sealed"


class StripeAccountMismatchError(BillingError):
    """This database belongs to another Stripe account or mode: use another database, or the old key."""

    code = "stripe_account_mismatch"


class CatalogNotPushedError(BillingError):
    """This product has no Stripe price yet: run tallybook catalog push."""

    code = "catalog_not_pushed"


class SubscriptionNotFoundError(BillingError):
    """There is no such subscription, or it is not yours."""

    code = "subscription_not_found"


class AlreadySubscribedError(BillingError):
    """This user has a plan of this family already: change it, or cancel it first."""

    code = "already_subscribed"


class SubscriptionSupersededError(BillingError):
    """Another attempt to subscribe took the place of this one: go on with that one, or begin again."""

    code = "subscription_superseded"


class SubscriptionStateError(BillingError):
    """This cannot be done with the subscription as it is now."""

    code = "subscription_state"


class SubscriptionPaymentError(BillingError):
    """The payment for this was declined, so nothing was changed: use another payment method and try again."""

    code = "subscription_payment_failed"


class PromotionCodeError(BillingError):
    """This promotion code cannot be used for this purchase."""

    code = "promotion_code_invalid"


class TaxLocationRequiredError(BillingError):
    """Tax is reckoned by where the customer lives, and Stripe does not know that yet: send an address along."""

    code = "tax_location_required"


class PlanChangeUnsupportedError(BillingError):
    """The plan cannot be changed to this one: cancel it at the end of its period and subscribe anew."""

    code = "plan_change_unsupported"


class PaymentNotFoundError(BillingError):
    """There is no such payment, or it is not yours."""

    code = "payment_not_found"


class RefundNotPossibleError(BillingError):
    """This payment moved no money at Stripe, so there is none to give back."""

    code = "refund_not_possible"


class RefundExceedsError(BillingError):
    """More than refunds and disputes have left of this payment."""

    code = "refund_exceeds"


class FulfilmentBusyError(BillingError):
    """This customer's payments are being settled right now: try again in a moment."""

    code = "fulfilment_busy"


class StripeRefusedError(BillingError):
    """Stripe refused the request."""

    code = "stripe_refused"


class WebhookSecretMissingError(BillingError):
    """No webhook signing secret is set: set STRIPE_WEBHOOK_SECRET, or nothing can be believed."""

    code = "webhook_secret_missing"


class WebhookSignatureError(BillingError):
    """Invalid signature"""

    code = "webhook_signature_invalid"


class WebhookPayloadError(BillingError):
    """Invalid payload"""

    code = "webhook_payload_invalid"


class PaymentIntentNotFoundError(BillingError):
    """There is no such payment intent, or it is not yours."""

    code = "payment_intent_not_found"


class AmountNotSoldError(BillingError):
    """An amount alone buys no credits: name a price, or set a rate for this currency in the catalogue."""

    code = "amount_not_sold"


class PaymentMethodNotFoundError(BillingError):
    """There is no such saved payment method, or it is not yours."""

    code = "payment_method_not_found"


class TopUpRuleNotFoundError(BillingError):
    """This wallet has no auto top-up."""

    code = "top_up_rule_not_found"


class EventNotFoundError(BillingError):
    """There is no such event in the inbox."""

    code = "event_not_found"


class EventSettledError(BillingError):
    """This event is settled or being worked on: only one that waits or is dead can be given up."""

    code = "event_settled"


class ReconciliationBusyError(BillingError):
    """Another reconciliation runs right now: wait until it is done."""

    code = "reconciliation_busy"

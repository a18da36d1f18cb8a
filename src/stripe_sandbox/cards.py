"""The test cards, and what each one does. No real card works here.

Numbers and outcomes follow docs.stripe.com/testing; tokens stand for the same cards. Leaves
charging to ``payment``.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from stripe_sandbox.errors import ApiError, CardError
from stripe_sandbox.kinds import Json


@dataclass(frozen=True)
class TestCard:
    """One test card: how it looks and how it behaves."""

    __test__ = False

    number: str
    meaning: str
    brand: str = "visa"
    funding: str = "credit"
    country: str = "US"
    fails: str | None = None
    """Error code when charged; ``None`` for a card that pays."""
    decline_code: str | None = None
    authenticates: bool = False
    """Asks for 3-D Secure when the buyer is present, refuses when not."""
    once: bool = False
    """Asks no more once it was set up for later use."""
    disputed: str | None = None
    """Reason of the dispute that follows each charge; ``None`` for no dispute."""
    refunds: str | None = None
    """``fail``: refunds fail a moment after they were made; ``pending``: they succeed a moment later."""


_DECLINED = "card_declined"

CARDS = (
    TestCard("4242424242424242", "Succeeds"),
    TestCard("5555555555554444", "Succeeds (Mastercard)", brand="mastercard"),
    TestCard("378282246310005", "Succeeds (American Express)", brand="amex"),
    TestCard("4000056655665556", "Succeeds (Visa debit)", funding="debit"),
    TestCard("4000000000000077", "Succeeds"),
    TestCard("4000000000000259", "Succeeds, then is disputed as fraudulent", disputed="fraudulent"),
    TestCard("4000000000002685", "Succeeds, then is disputed: not received", disputed="product_not_received"),
    TestCard("4000000000001976", "Succeeds, then an inquiry is opened", disputed="inquiry"),
    TestCard("4000000000005126", "Succeeds; its refunds fail later", refunds="fail"),
    TestCard("4000000000007726", "Succeeds; its refunds are pending first", refunds="pending"),
    TestCard("4000002500003155", "Asks for 3-D Secure unless set up", authenticates=True, once=True),
    TestCard("4000002760003184", "Always asks for 3-D Secure", authenticates=True),
    TestCard("4000000000003220", "Asks for 3-D Secure 2", authenticates=True),
    TestCard("4000000000000002", "Declined", fails=_DECLINED, decline_code="generic_decline"),
    TestCard("4000000000009995", "Insufficient funds", fails=_DECLINED, decline_code="insufficient_funds"),
    TestCard("4000000000009987", "Lost card", fails=_DECLINED, decline_code="lost_card"),
    TestCard("4000000000009979", "Stolen card", fails=_DECLINED, decline_code="stolen_card"),
    TestCard("4000000000000069", "Expired card", fails="expired_card", decline_code="expired_card"),
    TestCard("4000000000000127", "Wrong CVC", fails="incorrect_cvc", decline_code="incorrect_cvc"),
    TestCard(
        "4000000000000119",
        "Processing error",
        fails="processing_error",
        decline_code="processing_error",
    ),
    TestCard(
        "4000000000000341",
        "Can be saved, then every charge is declined",
        fails=_DECLINED,
        decline_code="generic_decline",
    ),
)

_BY_NUMBER = {card.number: card for card in CARDS}

_TOKENS = {
    "visa": "4242424242424242",
    "visa_debit": "4000056655665556",
    "mastercard": "5555555555554444",
    "amex": "378282246310005",
    "bypassPending": "4000000000000077",
    "createDispute": "4000000000000259",
    "createDisputeProductNotReceived": "4000000000002685",
    "createDisputeInquiry": "4000000000001976",
    "pendingRefund": "4000000000007726",
    "refundFail": "4000000000005126",
    "authenticationRequired": "4000002760003184",
    "authenticationRequiredOnSetup": "4000002500003155",
    "threeDSecure2Required": "4000000000003220",
    "threeDSecureRequired": "4000000000003220",
    "chargeDeclined": "4000000000000002",
    "visa_chargeDeclined": "4000000000000002",
    "chargeDeclinedInsufficientFunds": "4000000000009995",
    "visa_chargeDeclinedInsufficientFunds": "4000000000009995",
    "chargeDeclinedLostCard": "4000000000009987",
    "chargeDeclinedStolenCard": "4000000000009979",
    "chargeDeclinedExpiredCard": "4000000000000069",
    "chargeDeclinedIncorrectCvc": "4000000000000127",
    "chargeDeclinedProcessingError": "4000000000000119",
    "chargeCustomerFail": "4000000000000341",
}

_MESSAGES = {
    "card_declined": "Your card was declined.",
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
    "test_mode_live_card": (
        "Your card was declined. Your request was in test mode, but used a non test card."
    ),
}

_AMEX_DIGITS = 15
_MONTHS = 12
_CENTURY = 100


def by_token(token: str) -> TestCard | None:
    """Return the card behind ``pm_card_…`` or ``tok_…``."""
    for prefix in ("pm_card_", "tok_"):
        if token.startswith(prefix):
            number = _TOKENS.get(token.removeprefix(prefix))
            return _BY_NUMBER[number] if number else None
    return None


def by_number(number: str) -> TestCard:
    """Return the test card with this number.

    Raises `CardError` ``incorrect_number`` for a bad check digit, and ``card_declined`` for
    every number that is not a test card, as Stripe's test mode does.
    """
    digits = number.replace(" ", "").replace("-", "")
    if not (digits.isascii() and digits.isdigit() and _check_digit_fits(digits)):
        message = "Your card number is incorrect."
        raise CardError(message, code="incorrect_number", param="number")
    card = _BY_NUMBER.get(digits)
    if card is None:
        raise CardError(
            _MESSAGES["test_mode_live_card"],
            code="card_declined",
            decline_code="test_mode_live_card",
        )
    return card


def _check_digit_fits(digits: str) -> bool:
    """Luhn's check, ISO/IEC 7812-1 annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    shortest, longest = 12, 19
    return shortest <= len(digits) <= longest and total % 10 == 0


def expiry(month: int, year: int, now: int) -> tuple[int, int]:
    """Return month and four-digit year; raises `CardError` if bad or past. `now` in seconds."""
    full = year + 2000 if year < _CENTURY else year
    today = datetime.fromtimestamp(now, UTC)
    if not 1 <= month <= _MONTHS:
        message = "Your card's expiration month is invalid."
        raise CardError(message, code="invalid_expiry_month", param="exp_month")
    if full < today.year or full > today.year + 50:
        message = "Your card's expiration year is invalid."
        raise CardError(message, code="invalid_expiry_year", param="exp_year")
    if full == today.year and month < today.month:
        message = "Your card's expiration month is invalid."
        raise CardError(message, code="invalid_expiry_month", param="exp_month")
    return month, full


def check_cvc(card: TestCard, cvc: str) -> None:
    """Raise `CardError` unless the security code has the right number of digits."""
    wanted = 4 if len(card.number) == _AMEX_DIGITS else 3
    if not (cvc.isascii() and cvc.isdigit() and len(cvc) == wanted):
        message = "Your card's security code is invalid."
        raise CardError(message, code="invalid_cvc", param="cvc")


def appearance(card: TestCard, exp_month: int, exp_year: int) -> Json:
    """Return what a payment method shows of a card; never the whole number."""
    return {
        "brand": card.brand,
        "country": card.country,
        "exp_month": exp_month,
        "exp_year": exp_year,
        "fingerprint": hashlib.sha256(card.number.encode()).hexdigest()[:16],
        "funding": card.funding,
        "last4": card.number[-4:],
    }


def decline(card: TestCard) -> CardError | None:
    """Return the refusal of a card that fails when charged."""
    if card.fails is None:
        return None
    code = "insufficient_funds" if card.decline_code == "insufficient_funds" else card.fails
    param = {"expired_card": "exp_month", "incorrect_cvc": "cvc"}.get(card.fails)
    given = card.decline_code if card.fails == _DECLINED else None
    return CardError(_MESSAGES[code], code=card.fails, decline_code=given, param=param)


def authentication_failed() -> ApiError:
    """Return the refusal after a failed 3-D Secure step."""
    return ApiError(
        "We are unable to authenticate your payment method. Please choose a different payment "
        "method and try again.",
        code="payment_intent_authentication_failure",
    )


def grouped(number: str) -> str:
    """Return a card number in groups of four, as it is printed on cards."""
    return " ".join(number[place : place + 4] for place in range(0, len(number), 4))

"""Reads what a buyer gives: a card's digits, expiry and CVC, or the wish to pay by bank debit.

Shared by the hosted page and the control commands. Leaves paying to ``checkout``.
"""

from collections.abc import Mapping

from stripe_sandbox import cards, checkout, payment
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError, CardError
from stripe_sandbox.kinds import Json

_LONGEST = 200


def buyer_of(call: Call, session: Json, typed: Mapping[str, str]) -> checkout.Buyer:
    """Return the buyer's details; raises `ApiError` without a usable e-mail address."""
    email = checkout.email_of(call, session) or typed.get("email", "").strip()
    if "@" not in email or len(email) > _LONGEST:
        message = "Enter an email address, such as name@example.com."
        raise ApiError(message, code="email_invalid", param="email")
    return checkout.Buyer(
        email=email,
        name=typed.get("billingName", "").strip()[:_LONGEST] or None,
        postal_code=typed.get("billingPostalCode", "").strip()[:20] or None,
        country=_country(typed.get("billingCountry", "")),
    )


def method_of(call: Call, session: Json, buyer: checkout.Buyer, typed: Mapping[str, str]) -> Json | None:
    """Return the payment method that the buyer chose; ``None`` if none is needed."""
    if not checkout.needs_method(session):
        return None
    if typed.get("method", "card") == "bank":
        return payment.new_bank(call, session["currency"] or "usd", buyer.billing())
    card, look = card_of(call, typed)
    if not buyer.name:
        message = "Enter the name on the card."
        raise ApiError(message, param="name")
    return payment.new_card(call, card, look, buyer.billing())


def card_of(call: Call, typed: Mapping[str, str]) -> tuple[cards.TestCard, Json]:
    """Return the card whose number, expiry and CVC were typed, and how it looks."""
    card = cards.by_number(typed.get("cardNumber", ""))
    month, year = cards.expiry(*_expiry(typed.get("cardExpiry", "")), call.now)
    cards.check_cvc(card, typed.get("cardCvc", "").strip())
    return card, cards.appearance(card, month, year)


def _country(text: str) -> str:
    letters = text.strip().upper()
    if not letters:
        return "US"
    if len(letters) != len("US") or not letters.isascii() or not letters.isalpha():
        message = "Write the country as two letters, such as DE."
        raise ApiError(message, param="country")
    return letters


def _expiry(text: str) -> tuple[int, int]:
    parts = text.replace(" ", "").split("/")
    if len(parts) == 1:
        parts = [text.strip()[:2], text.strip()[2:]]
    two = 2
    if len(parts) != two or not all(part.isascii() and part.isdigit() for part in parts):
        message = "Your card's expiration date is incomplete. Write it as MM / YY."
        raise CardError(message, code="invalid_expiry_month", param="exp_month")
    return int(parts[0]), int(parts[1])

"""What the cast has of cards: a payment in the form, a saved card, a rule for auto top-up."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from api.cast import Cast


def a_payment_intent(cast: Cast, caller: str) -> str:
    """A payment in the payment form; its client secret counts as a secret."""
    form = cast.ask(caller, "POST", "/v1/payment-intents", {"price": "pack_100"})
    assert form.status_code == 201, form.text
    cast.secrets[f"client secret of {caller}"] = form.json()["client_secret"]
    return str(form.json()["id"])


def a_saved_card(cast: Cast, caller: str) -> str:
    """Save a card as the form's script does, and keep a rule for auto top-up beside it."""
    made = cast.ask(caller, "POST", "/v1/setup-intents", {})
    assert made.status_code == 201, made.text
    setup = made.json()["stripe_setup_intent_id"]
    saved = cast.running.sandbox.http().post(
        f"/v1/setup_intents/{setup}/confirm",
        data={"payment_method": "pm_card_visa", "return_url": "https://yourapp.com/billing"},
    )
    assert saved.status_code == 200, saved.text
    set_top_up(cast, caller)
    return str(saved.json()["payment_method"])


def set_top_up(cast: Cast, caller: str) -> None:
    """The caller's rule for auto top-up, switched off."""
    body = {"threshold_micro": 5, "price": "pack_100", "monthly_cap_minor": 1000, "enabled": False}
    answer = cast.ask(caller, "PUT", "/v1/top-up", body)
    assert answer.status_code == 200, answer.text

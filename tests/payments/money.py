"""Money that goes back at Stripe, and what our books say of it: what the tests of it share."""

from __future__ import annotations

from typing import Any

from payments.desk import Till
from tallybook.domain.payments.checkouts import Checkout
from tallybook.worker.main import work_off


def intent_of(till: Till, checkout: Checkout) -> str:
    """The payment intent of a checkout that is paid."""
    session = till.stripe_get(f"/v1/checkout/sessions/{checkout.stripe_session_id}")
    assert isinstance(session["payment_intent"], str)
    return session["payment_intent"]


def refund(till: Till, checkout: Checkout, **how: str) -> dict[str, Any]:
    """Give a checkout's payment back at Stripe, as from its dashboard; by default all of it."""
    made = till.stripe_post("/v1/refunds", payment_intent=intent_of(till, checkout), **how)
    assert made["status"] in {"succeeded", "pending"}, made
    assert isinstance(made, dict)
    return made


def charge_of(till: Till, checkout: Checkout) -> str:
    """The charge of a checkout that is paid."""
    intent = till.stripe_get(f"/v1/payment_intents/{intent_of(till, checkout)}")
    assert isinstance(intent["latest_charge"], str)
    return intent["latest_charge"]


def dispute(till: Till, checkout: Checkout, **how: Any) -> str:
    """The customer's bank disputes a payment; gives the dispute's id, which is no charge's."""
    made = till.sandbox.control(f"charges/{charge_of(till, checkout)}/dispute", **how)
    assert isinstance(made["id"], str)
    return made["id"]


async def bought(till: Till, product: str = "package_starter") -> Checkout:
    """A checkout that is paid and granted."""
    checkout = await till.open(product)
    till.pay(checkout)
    await till.deliver_all(checkout)
    return checkout


def books(till: Till) -> list[tuple[int, int, int, int]]:
    """Of each payment: money refunded and disputed in minor units, and whole credits taken for each."""
    rows = till.ask(
        "SELECT refunded_minor, disputed_minor, refunded_micro / 1000000, disputed_micro / 1000000"
        " FROM tallybook.payments ORDER BY payment_id"
    )
    return [(int(a), int(b), int(c), int(d)) for a, b, c, d in rows]


def balances(till: Till) -> tuple[int, int, int]:
    """Whole credits of the customer: available, held, debt."""
    [row] = till.ask(
        "SELECT available_micro / 1000000, held_micro / 1000000, debt_micro / 1000000"
        " FROM tallybook.wallets WHERE owner_user_id = %s",
        till.user_id,
    )
    available, held, debt = row
    return int(available), int(held), int(debt)


async def deliver(till: Till, checkout: Checkout, *kinds: str) -> None:
    """Deliver the events of some types about a checkout's money, and have them worked off."""
    for event in till.events(checkout):
        if event["type"] in kinds:
            await till.deliver(event)
    await work_off(till.ctx)

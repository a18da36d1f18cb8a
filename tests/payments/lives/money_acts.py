"""What happens in a life to money and credits: packs bought, credits spent, refunds, disputes.

Each act is given two numbers, which choose among what is possible then, and gives what it did in a few words; None if
it was not possible.
"""

from __future__ import annotations

from payments.desk import OPERATOR
from payments.lives.at_stripe import Json
from payments.lives.life import Life, word
from tallybook.domain.errors import BillingError
from tallybook.domain.money import Credits
from tallybook.usecases import fulfilment, money_back, wallets

PRODUCTS = ("package_starter", "pack_100", "pack_250", "pack_1000")
CARDS = (
    "4242424242424242",
    "4242424242424242",
    "4242424242424242",
    "4000000000000002",  # is declined
    "4000000000005126",  # its refunds fail later
    "4000000000007726",  # its refunds are pending first
    "4000000000000259",  # is disputed at once
    "4000000000001976",  # is asked about at once
)
BANK_AT = 75
"""Whoever buys with as much as this pays by a debit that takes days."""

OPEN_DISPUTES = ("needs_response", "under_review", "warning_needs_response", "warning_under_review")


async def buy(life: Life, which: int, much: int) -> str | None:
    """Buy a pack, by card or by bank debit."""
    product = PRODUCTS[which % len(PRODUCTS)]
    checkout = await life.till.open(product, quantity=1 + which % 3)
    how = {"method": "bank"} if much >= BANK_AT else {"card": CARDS[much % len(CARDS)]}
    done = life.stripe.desk(f"checkout/sessions/{checkout.stripe_session_id}/pay", **how)
    assert done is not None
    if done["outcome"] == "declined" and which % 2:
        done = life.stripe.desk(f"checkout/sessions/{checkout.stripe_session_id}/pay", card=CARDS[0])
        assert done is not None
    return f"bought {1 + which % 3} {product} by {how}: {done['outcome']}"


async def settle_debit(life: Life, which: int, much: int) -> str | None:
    """A bank debit comes in, or does not."""
    every = life.stripe.every("payment_intents", customer=life.customer)
    waiting = [one for one in every if one["status"] == "processing"]
    if not waiting:
        return None
    chosen = waiting[which % len(waiting)]
    outcome = "succeed" if much % 3 else "fail"
    assert life.stripe.desk(f"payment_intents/{chosen['id']}/settle", outcome=outcome) is not None
    return f"debit {chosen['id']}: {outcome}"


async def come_back(life: Life, which: int, _: int) -> str | None:
    """Come back from a checkout, before or after its events."""
    sessions = life.stripe.every("checkout/sessions", customer=life.customer)
    if not sessions:
        return None
    chosen = sessions[which % len(sessions)]["id"]
    settled = await fulfilment.return_from_checkout(life.till.ctx, life.till.caller, chosen)
    return f"came back from {chosen}: {settled.outcome}"


async def spend(life: Life, which: int, much: int) -> str | None:
    """Spend a part of what there is; now and then more than that."""
    available, _, _ = life.balance()
    micro = available * much // 100 + (1 + which) * 1_000 if which % 5 else available + which + 1
    try:
        await wallets.spend(life.till.ctx, life.till.caller, credits=Credits(micro), key=life.key())
    except BillingError as refusal:
        return f"spend of {micro} {word(refusal)}"
    life.spent += micro
    return f"spent {micro}"


async def hold(life: Life, which: int, much: int) -> str | None:
    """Hold a part of what there is, or settle what is held."""
    ctx, caller = life.till.ctx, life.till.caller
    available, _, _ = life.balance()
    if life.holds and which % 2:
        return await settle_hold(life, which, much)
    micro = available * much // 200
    if micro == 0:
        return None
    try:
        held = await wallets.place_hold(
            ctx, caller, credits=Credits(micro), key=life.key(), lifetime_seconds=900
        )
    except BillingError as refusal:
        return f"hold of {micro} {word(refusal)}"
    assert held.hold is not None
    life.holds.append(held.hold)
    return f"held {micro}"


async def settle_hold(life: Life, which: int, much: int) -> str:
    """Capture a part of a hold, or give it back; one that is over has been given back already."""
    ctx, caller = life.till.ctx, life.till.caller
    chosen = life.holds.pop(which % len(life.holds))
    found = await wallets.hold(ctx, caller, chosen)
    micro = found.remaining_micro * much // 100
    try:
        if micro == 0:
            await wallets.release_hold(ctx, caller, chosen, key=life.key())
        else:
            await wallets.capture_hold(ctx, caller, chosen, credits=Credits(micro), key=life.key())
    except BillingError as refusal:
        return f"hold {word(refusal)}"
    life.spent += micro
    return f"captured {micro} of {found.remaining_micro}"


async def refund(life: Life, which: int, much: int) -> str | None:
    """Give a part of a payment back, or all that is left; at the dashboard or from our side."""
    charges = life.charges()
    if not charges:
        return None
    charge = charges[which % len(charges)]
    left = charge["amount"] - charge["amount_refunded"]
    amount = left if much > BANK_AT else max(1, left * much // 100)
    if which % 3 == 0:
        return await refund_ours(life, charge, amount)
    made = life.stripe.post("refunds", payment_intent=charge["payment_intent"], amount=amount)
    said = "refused" if made is None else made["status"]
    return f"refund of {amount} of {charge['amount']} of {charge['payment_intent']}: {said}"


async def refund_ours(life: Life, charge: Json, amount: int) -> str | None:
    """Give it back by our own route, if we have heard of the payment."""
    rows = life.till.ask(
        "SELECT payment_id FROM tallybook.payments WHERE stripe_payment_intent_id = %s",
        charge["payment_intent"],
    )
    if not rows:
        return None
    try:
        made = await money_back.refund(
            life.till.ctx, OPERATOR, rows[0][0], amount_minor=amount, reason=None, key=life.key()
        )
    except BillingError as refusal:
        return f"refund of ours {word(refusal)}"
    return f"refund of ours of {amount} of {charge['amount']} of {charge['payment_intent']}: {made.refund.status}"


async def settle_refund(life: Life, which: int, much: int) -> str | None:
    """A refund fails, also one that counted as done; or one that was on its way arrives."""
    every = [
        one
        for charge in life.charges()
        if charge["amount_refunded"]
        for one in life.stripe.every("refunds", charge=charge["id"])
        if one["status"] in ("pending", "succeeded")
    ]
    if not every:
        return None
    chosen = every[which % len(every)]
    outcome = "succeed" if chosen["status"] == "pending" and much % 2 else "fail"
    done = life.stripe.desk(f"refunds/{chosen['id']}/settle", outcome=outcome)
    # Its card may have ended it by itself just now.
    return f"refund {chosen['id']} of {chosen['amount']}: {outcome if done else 'refused'}"


async def dispute(life: Life, which: int, much: int) -> str | None:
    """The bank disputes a payment, or asks about it."""
    charges = [one for one in life.charges() if not one["disputed"] and not one["refunded"]]
    if not charges:
        return None
    charge = charges[which % len(charges)]
    how: Json = {"reason": "inquiry"} if much % 4 == 0 else {}
    if much % 2:
        how["amount"] = max(1, charge["amount"] * much // 100)
    made = life.stripe.desk(f"charges/{charge['id']}/dispute", **how)
    if made is None:
        # The card's own dispute came between.
        return None
    return (
        f"dispute of {made['amount']} of {charge['amount']} of {charge['payment_intent']}: {made['status']}"
    )


async def end_dispute(life: Life, which: int, much: int) -> str | None:
    """A dispute is won or lost; an inquiry comes to nothing, or becomes a dispute."""
    every = [
        one
        for charge in life.charges()
        if charge["disputed"]
        for one in life.stripe.every("disputes", charge=charge["id"])
        if one["status"] in OPEN_DISPUTES
    ]
    if not every:
        return None
    chosen = every[which % len(every)]
    ends = ("close_warning", "escalate") if chosen["status"].startswith("warning") else ("win", "lose")
    end = ends[much % 2]
    assert life.stripe.desk(f"disputes/{chosen['id']}/{end}") is not None
    return f"dispute {chosen['id']} of {chosen['amount']}: {end}"

"""What happens in a life to a plan: begun, changed, not paid, paid after all, paused, ended; and time that passes.

Acts as in ``money_acts``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from payments.desk import CANCEL, SUCCESS
from payments.lives.at_stripe import Json
from payments.lives.checking import made_right
from payments.lives.life import Life, word
from payments.subscriber import FAILS_LATER, GOOD_CARD
from tallybook.domain.errors import BillingError
from tallybook.usecases.subscriptions import changing, opening, plans, viewing
from tallybook.usecases.subscriptions.changing import Changed

PLANS = ("plan_starter", "plan_professional", "plan_business")
GOOD = "pm_card_visa"
SPANS = (
    timedelta(hours=2),
    timedelta(days=1),
    timedelta(days=4, hours=5),
    timedelta(days=11),
    timedelta(days=20),
    timedelta(days=31),
    timedelta(days=31),
    timedelta(days=62),
)
NIGHTLY = timedelta(days=25)
PRORATIONS = ("always_invoice", "always_invoice", "create_prorations", "none")


async def time_passes(life: Life, which: int, _: int) -> str | None:
    """Hours to months pass: periods end, debts are tried again."""
    # Whoever compares each night leaves no month out.
    span = min(SPANS[which % len(SPANS)], NIGHTLY if life.nightly else SPANS[-1])
    life.pass_time(span)
    return f"{span} passed; {await made_right(life)}" if life.nightly else f"{span} passed"


async def reconciler_runs(life: Life, _: int, __: int) -> str | None:
    """The reconciler runs, and mends what it can."""
    return await made_right(life)


async def subscribe(life: Life, which: int, much: int) -> str | None:
    """Subscribe on the hosted page."""
    plan = PLANS[which % len(PLANS)]
    try:
        opened = await opening.open_checkout(
            life.till.ctx,
            life.till.caller,
            reference=plan,
            quantity=1 + which % 2,
            success_url=SUCCESS,
            cancel_url=CANCEL,
            user_id=None,
            key=None,
        )
    except BillingError as refusal:
        return f"{plan} {word(refusal)}"
    how = {"method": "bank"} if much % 7 == 0 else {"card": GOOD_CARD}
    done = life.stripe.desk(f"checkout/sessions/{opened.checkout.stripe_session_id}/pay", **how)
    assert done is not None
    return f"subscribed to {1 + which % 2} {plan} by {how}: {done['outcome']}"


async def change_plan(life: Life, which: int, much: int) -> str | None:
    """Change the plan by our own route."""
    plan = PLANS[which % len(PLANS)]

    async def change(reference: str) -> Changed:
        ctx, caller = life.till.ctx, life.till.caller
        return await plans.change(
            ctx, caller, reference, plan=plan, quantity=1 + much % 2, proration_date=None, key=life.key()
        )

    return await _asked(life, f"change to {1 + much % 2} {plan}", change)


async def change_at_dashboard(life: Life, which: int, much: int) -> str | None:
    """Somebody changes the plan at Stripe: billed or credited at once, with the next invoice, or not at all."""
    found = life.subscription()
    if found is None:
        return None
    plan, how = PLANS[which % len(PLANS)], PRORATIONS[much % len(PRORATIONS)]
    price = life.stripe.get("prices", **{"lookup_keys[]": plan})["data"][0]["id"]
    form: Json = {"items[0][id]": found["items"]["data"][0]["id"], "items[0][price]": price}
    form |= {"items[0][quantity]": 1 + which % 2, "proration_behavior": how}
    done = life.stripe.post(f"subscriptions/{found['id']}", **form)
    return f"dashboard: {1 + which % 2} {plan}, {how}" + ("" if done else ", refused")


async def coupon(life: Life, which: int, much: int) -> str | None:
    """The merchant gives a discount, once or from now on: that is a gift, and costs no credits."""
    found = life.subscription()
    if found is None:
        return None
    terms: Json = {"percent_off": (25, 50, 100)[which % 3], "duration": "once" if much % 2 else "forever"}
    made = life.stripe.post("coupons", **terms)
    assert made is not None
    life.stripe.post(f"subscriptions/{found['id']}", **{"discounts[0][coupon]": made["id"]})
    return f"discount: {terms}"


async def break_card(life: Life, _: int, __: int) -> str | None:
    """From now on the card is declined."""
    return _pay_with(life, FAILS_LATER)


async def recover(life: Life, _: int, much: int) -> str | None:
    """A good card again; what is open is paid, at once or when Stripe tries again."""
    done = _pay_with(life, GOOD)
    if done is None:
        return None
    paid = []
    for invoice in life.stripe.every("invoices", customer=life.customer):
        if invoice["status"] in ("open", "uncollectible") and much % 4:
            after = life.stripe.post(f"invoices/{invoice['id']}/pay")
            paid.append("refused" if after is None else str(after["status"]))
    return f"{done}; invoices paid: {paid}"


async def cancel(life: Life, which: int, much: int) -> str | None:
    """End the plan: with its period, or at once; by us or at the dashboard, which may credit what was not used."""
    if which % 3 == 0:
        found = life.subscription()
        if found is None:
            return None
        how = {"prorate": "true", "invoice_now": "true"} if much % 2 else {}
        life.stripe.delete(f"subscriptions/{found['id']}", **how)
        return f"dashboard: canceled {how}"
    at_once = much % 3 == 0

    async def end(reference: str) -> Changed:
        return await changing.cancel(
            life.till.ctx, life.till.caller, reference, at_once=at_once, key=life.key()
        )

    return await _asked(life, "canceled at once" if at_once else "canceled with its period", end)


async def stay(life: Life, _: int, __: int) -> str | None:
    """Take back that the plan is to end."""
    return await _asked(
        life,
        "stayed",
        lambda reference: changing.reactivate(life.till.ctx, life.till.caller, reference, key=life.key()),
    )


async def pause(life: Life, which: int, _: int) -> str | None:
    """Pause, or go on."""
    ctx, caller = life.till.ctx, life.till.caller
    if which % 2:
        return await _asked(
            life,
            "went on",
            lambda reference: changing.resume(ctx, caller, reference, key=life.key()),
        )
    return await _asked(
        life,
        "paused",
        lambda reference: changing.pause(ctx, caller, reference, resumes_at=None, key=life.key()),
    )


async def _asked(life: Life, what: str, ask: Callable[[str], Awaitable[Changed]]) -> str | None:
    """What came of a wish about the newest subscription that we know of."""
    known = await viewing.of_user(life.till.ctx, life.till.caller, None)
    if not known or known[0].stripe_subscription_id is None:
        return None
    try:
        await ask(f"sbs_{known[0].subscription_id}")
    except BillingError as refusal:
        return f"{what} {word(refusal)}"
    return what


def _pay_with(life: Life, method: str) -> str | None:
    found = life.subscription()
    if found is None:
        return None
    attached = life.stripe.post(f"payment_methods/{method}/attach", customer=life.customer)
    assert attached is not None
    life.stripe.post(f"subscriptions/{found['id']}", default_payment_method=attached["id"])
    return f"pays with {method}"

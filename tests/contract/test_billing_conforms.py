"""Plans, money that comes back, saved cards, the portal: every answer and event as Stripe's types say.

Whether amounts and states are right is tested in ``tests/sandbox``; each story here makes as many kinds of
objects and events as it can. Together they make every event that a billing service listens to.
"""

from typing import Any

import pytest
import stripe
from contract.desk import Desk
from contract.player import DAY, URLS, Player

LISTENED_TO = {
    *(f"checkout.session.{name}" for name in ("completed", "expired")),
    *(f"checkout.session.async_payment_{name}" for name in ("succeeded", "failed")),
    *(f"customer.subscription.{name}" for name in ("created", "updated", "deleted", "paused", "resumed")),
    "customer.subscription.trial_will_end",
    *(f"invoice.{name}" for name in ("created", "finalized", "paid", "payment_failed", "voided", "overdue")),
    *(f"invoice.{name}" for name in ("payment_action_required", "marked_uncollectible")),
    *(f"payment_intent.{name}" for name in ("succeeded", "payment_failed", "requires_action", "processing")),
    "payment_intent.canceled",
    *(f"setup_intent.{name}" for name in ("succeeded", "setup_failed")),
    *(f"payment_method.{name}" for name in ("attached", "detached", "automatically_updated")),
    "charge.refunded",
    *(f"refund.{name}" for name in ("created", "updated", "failed")),
    *(f"charge.dispute.{name}" for name in ("created", "updated", "closed")),
    *(f"charge.dispute.funds_{name}" for name in ("withdrawn", "reinstated")),
    *(f"customer.{name}" for name in ("updated", "deleted")),
}


def plans(player: Player) -> None:
    """Change, preview, discount, tax and end plans."""
    client = player.client
    player.desk.control("settings", tax_percent="7.7")
    client.customers.update(player.customer, {"address": {"country": "DE", "postal_code": "10115"}})
    coupon = client.coupons.create({"amount_off": 300, "currency": "usd", "duration": "once", "name": "Off"})
    half: Any = {"percent_off": 50, "duration": "repeating", "duration_in_months": 3}
    code: Any = {"promotion": {"type": "coupon", "coupon": client.coupons.create(half).id}, "code": "HALF"}
    promotion = client.promotion_codes.create(code | {"expand": ["promotion.coupon"]})
    shown: Any = ["latest_invoice.confirmation_secret", "latest_invoice.payments", "customer.subscriptions"]
    subscription = player.subscribe(
        player.cheap,
        discounts=[{"coupon": coupon.id}, {"promotion_code": promotion.id}],
        automatic_tax={"enabled": True},
        metadata={"account": "7"},
        add_invoice_items=[{"price": player.price(900, None)}],
        expand=[*shown, "discounts.source.coupon", "test_clock"],
    )
    item = subscription["items"]["data"][0]["id"]
    wish: Any = {"items": [{"id": item, "price": player.dear}], "proration_behavior": "always_invoice"}
    player.later(10)
    client.invoices.create_preview({"subscription": subscription["id"], "subscription_details": wish})
    client.invoices.create_preview({"subscription": subscription["id"]})
    client.subscriptions.update(subscription["id"], wish | {"expand": ["latest_invoice.lines"]})
    client.subscription_items.create({"subscription": subscription["id"], "price": player.price(100)})
    client.subscription_items.update(item, {"quantity": 2})
    client.subscriptions.update(subscription["id"], {"cancel_at_period_end": True})
    client.subscriptions.update(subscription["id"], {"cancel_at_period_end": False, "metadata": {"a": "b"}})
    client.subscriptions.update(subscription["id"], {"pause_collection": {"behavior": "void"}})
    player.later(31)
    client.subscriptions.update(subscription["id"], {"pause_collection": ""})
    client.subscriptions.list({"customer": player.customer, "status": "all", "price": player.dear})
    client.subscriptions.cancel(subscription["id"], {"invoice_now": True, "prorate": True})
    client.coupons.update(coupon.id, {"metadata": {"a": "b"}})
    client.promotion_codes.update(promotion.id, {"active": False})
    client.coupons.delete(coupon.id)


def trials(player: Player) -> None:
    """Trials: paid, paused for want of a card, resumed."""
    client = player.client
    for method in client.payment_methods.list({"customer": player.customer}).data:
        client.payment_methods.detach(method.id)
    behavior: Any = {"end_behavior": {"missing_payment_method": "pause"}}
    subscription = player.subscribe(player.cheap, trial_period_days=5, trial_settings=behavior)
    player.later(6)
    player.card("pm_card_visa")
    client.subscriptions.resume(subscription["id"])
    client.subscriptions.update(
        subscription["id"],
        {"trial_end": client.test_helpers.test_clocks.retrieve(player.clock).frozen_time + 5 * DAY},
    )
    client.subscriptions.update(subscription["id"], {"trial_end": "now"})
    client.subscriptions.cancel(subscription["id"])


def dunning(player: Player) -> None:
    """Renewals that are refused, need the buyer, or are given up; invoices that are sent."""
    client = player.client
    player.card("pm_card_chargeCustomerFail")
    first = player.subscribe(player.cheap)
    client.subscriptions.retrieve(first["id"], {"expand": ["latest_invoice.payments.data.payment"]})
    player.card("pm_card_visa")
    subscription = player.subscribe(player.cheap)
    player.card("pm_card_authenticationRequired")
    player.later(32)
    waiting = client.invoices.list({"subscription": subscription["id"], "status": "open"}).data[0]
    with pytest.raises(stripe.CardError):
        client.invoices.pay(waiting.id)
    player.desk.control(f"invoices/{waiting.id}/authenticate")
    player.card("pm_card_chargeCustomerFail")
    player.desk.control("settings", invoice_after_retries="uncollectible")
    player.later(50)
    player.card("pm_card_visa")
    sent = player.subscribe(player.cheap, collection_method="send_invoice", days_until_due=3)
    player.later(5)
    late = client.invoices.list({"subscription": sent["id"]}).data[0]
    client.invoices.send_invoice(late.id)
    client.invoices.pay(late.id, {"paid_out_of_band": True})


def by_hand(player: Player) -> None:
    """Invoices by hand."""
    client = player.client
    draft = client.invoices.create({"customer": player.customer, "auto_advance": True, "description": "Work"})
    params: Any = {"customer": player.customer, "invoice": draft.id}
    item = client.invoice_items.create(params | {"amount": 1500, "currency": "usd", "description": "Hours"})
    client.invoice_items.create(params | {"pricing": {"price": player.price(700, None)}, "quantity": 2})
    client.invoice_items.update(item.id, {"amount": 1400, "metadata": {"a": "b"}})
    client.invoices.update(draft.id, {"footer": "Thanks", "metadata": {"a": "b"}})
    client.invoices.finalize_invoice(draft.id)
    client.invoices.void_invoice(draft.id)
    gone = client.invoices.create({"customer": player.customer})
    client.invoices.delete(gone.id)
    waiting = client.invoice_items.create({"customer": player.customer, "amount": 5, "currency": "usd"})
    client.invoice_items.delete(waiting.id)


def money_back(player: Player) -> None:
    """Refunds and disputes of every kind."""
    client, control = player.client, player.desk.control
    failing = client.refunds.create({"charge": player.charge("pm_card_refundFail"), "amount": 1000})
    pending = client.refunds.create({"charge": player.charge("pm_card_pendingRefund")})
    player.wait(lambda: client.refunds.retrieve(failing.id).status == "failed")
    player.wait(lambda: client.refunds.retrieve(pending.id).status == "succeeded")
    charge = player.charge("pm_card_createDispute")
    player.wait(lambda: client.disputes.list({"charge": charge}).data)
    dispute = client.disputes.list({"charge": charge, "expand": ["data.charge"]}).data[0]
    client.disputes.update(dispute.id, {"evidence": {"uncategorized_text": "winning_evidence"}})
    inquiry = control(f"charges/{player.charge('pm_card_visa')}/dispute", reason="inquiry")
    control(f"disputes/{inquiry['id']}/escalate")
    client.disputes.close(inquiry["id"])
    client.balance_transactions.list({"limit": 100})


def cards(player: Player) -> None:
    """Saved cards, sessions in all modes, delayed payments, the portal."""
    client, desk = player.client, player.desk
    asked: Any = {
        "customer": player.customer,
        "payment_method": "pm_card_threeDSecureRequired",
        "confirm": True,
    }
    setup = client.setup_intents.create(asked | {"return_url": "http://127.0.0.1:9/back"})
    desk.control(f"setup_intents/{setup.id}/authenticate", outcome="fail")
    client.setup_intents.confirm(setup.id, {"payment_method": "pm_card_visa"})
    open_setup = client.setup_intents.create({"usage": "on_session"})
    client.setup_intents.cancel(open_setup.id, {"cancellation_reason": "abandoned"})
    with pytest.raises(stripe.CardError):
        client.setup_intents.create(asked | {"payment_method": "pm_card_chargeDeclined"})
    setting: Any = {"mode": "setup", "customer": player.customer, "currency": "usd"} | URLS
    desk.pay(client.checkout.sessions.create(setting).id)
    desk.pay(player.session(subscription_data={"trial_period_days": 3, "metadata": {"a": "b"}}))
    desk.pay(player.session(discounts=[{"coupon": client.coupons.create({"percent_off": 10}).id}]))
    for outcome in ("succeed", "fail"):
        delayed = player.session()
        desk.pay(delayed, method="bank")
        desk.settle(delayed, outcome)
    client.checkout.sessions.expire(player.session())
    abandoned = player.session()
    desk.pay(abandoned, card="4000000000000002")
    client.checkout.sessions.expire(abandoned)
    method = player.card("pm_card_mastercard")
    desk.control(f"payment_methods/{method}/renew")
    client.payment_methods.detach(method)
    portal: Any = {"customer": player.customer, "return_url": "http://127.0.0.1:9/back"}
    client.billing_portal.sessions.create(portal | {"expand": ["configuration"]})
    client.billing_portal.configurations.create({"features": {"invoice_history": {"enabled": True}}})
    client.billing_portal.configurations.list()


def taxes(player: Player) -> None:
    """Tax on top and inside, sessions that ask for an address, and the account's settings."""
    client, desk = player.client, player.desk
    desk.control("settings", tax_percent="")
    client.tax.settings.retrieve()
    client.tax.settings.update({"head_office": {"address": {"country": "DE", "city": "Berlin"}}})
    price: Any = {
        "product": player.product,
        "currency": "kwd",
        "unit_amount": 9990,
        "tax_behavior": "inclusive",
    }
    inside = client.prices.create(price).id
    taxed: Any = {"automatic_tax": {"enabled": True}, "customer_update": {"address": "auto"}}
    for line, mode in ((inside, "payment"), (player.dear, "subscription")):
        lines: Any = {
            "line_items": [{"price": line, "quantity": 1}],
            "mode": mode,
            "customer": player.customer,
        }
        opened = client.checkout.sessions.create(lines | taxed | URLS).id
        desk.pay(opened, country="DE")
        client.checkout.sessions.retrieve(opened, {"expand": ["line_items", "invoice", "subscription"]})
    desk.control("settings", tax_status="pending")
    client.tax.settings.retrieve()
    desk.control("settings", tax_status="active")


def schedules(player: Player) -> None:
    """A schedule that is carried out, one that is let go, and one that is canceled."""
    client = player.client
    made, card = [], player.card("pm_card_visa")
    for _ in range(3):
        coupon = client.coupons.create({"percent_off": 10, "duration": "forever"}).id
        found = player.subscribe(player.dear, discounts=[{"coupon": coupon}], automatic_tax={"enabled": True})
        wanted: Any = {"from_subscription": found["id"], "metadata": {"a": "b"}}
        schedule = client.subscription_schedules.create(wanted).to_dict()
        running = schedule["phases"][0]
        same: Any = {"discounts": [{"discount": found["discounts"][0]}], "automatic_tax": {"enabled": True}}
        now = {"items": [{"price": player.dear, "quantity": 1}], "end_date": running["end_date"]}
        same |= {"default_payment_method": card}
        coming = {"items": [{"price": player.price(900)}], "duration": {"interval": "month"}}
        phases: Any = {"phases": [now | same, coming | same | {"proration_behavior": "none"}]}
        client.subscription_schedules.update(schedule["id"], phases | {"expand": ["subscription"]})
        client.subscriptions.retrieve(found["id"], {"expand": ["schedule"]})
        made.append(schedule["id"])
    client.subscription_schedules.release(made[1])
    client.subscription_schedules.cancel(made[2])
    player.later(70)
    client.subscription_schedules.retrieve(made[0], {"expand": ["customer", "phases.items.price"]})
    client.subscription_schedules.list({"customer": player.customer, "released_at": {"gt": 0}})


def test_a_whole_life_conforms_and_tells_all_that_is_listened_to(desk: Desk) -> None:
    player = Player(desk)

    for story in (plans, trials, dunning, by_hand, money_back, taxes, schedules, cards):
        story(player)
    desk.stripe.customers.delete(player.customer)
    other = Player(desk)
    other.subscribe(other.cheap)
    recording = desk.verdict()
    desk.stripe.test_helpers.test_clocks.delete(player.clock)

    assert recording.deviations == []
    assert LISTENED_TO - recording.event_types == set()
    assert {"subscription", "invoice", "dispute", "setup_intent", "coupon", "refund"} <= recording.kinds
    assert "subscription_schedule" in recording.kinds
    told = {f"subscription_schedule.{name}" for name in ("created", "updated", "released", "canceled")}
    assert told <= recording.event_types

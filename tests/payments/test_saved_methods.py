"""Saved cards: the first one is the default, Stripe's events are followed, and only their owner reaches them."""

from __future__ import annotations

import pytest

from payments.cardholder import Cardholder
from payments.desk import OPERATOR, Till, add_user
from payments.form_filler import RATES, hear, selling
from tallybook.domain.errors import PaymentMethodNotFoundError, PermissionDeniedError
from tallybook.domain.identity.callers import Caller
from tallybook.domain.money import Credits, Money
from tallybook.usecases.cards import rules, saved_methods
from tallybook.worker.main import work_off

pytestmark = pytest.mark.timeout(120)


async def save_by_form(till: Till, card: str, caller: Caller | None = None) -> str:
    """Save a card as the form's script does, and have Stripe's events heard; gives the setup intent."""
    key = f"save {card}"
    setup = await saved_methods.open_setup(till.ctx, caller or till.caller, user_id=till.user_id, key=key)
    back = "http://localhost:3000/billing"
    till.stripe_post(f"/v1/setup_intents/{setup.id}/confirm", payment_method=card, return_url=back)
    await hear(till, setup.id)
    return setup.id


async def test_the_first_saved_card_becomes_the_default_and_a_second_one_does_not(till: Till) -> None:
    await save_by_form(till, "pm_card_visa")
    first = await saved_methods.get(till.ctx, till.caller, user_id=None)
    await save_by_form(till, "pm_card_mastercard")
    second = await saved_methods.get(till.ctx, till.caller, user_id=None)

    assert first.default_id == first.methods[0].id == second.default_id
    assert sorted(str(method.brand) for method in second.methods) == ["mastercard", "visa"]


async def test_a_card_that_is_saved_lets_a_stopped_top_up_go_on(till: Till) -> None:
    ada = Cardholder(till)
    await ada.rule()
    await ada.round()
    assert ada.stopped() == "no_saved_card"

    await save_by_form(till, "pm_card_visa")
    await ada.round()

    assert ("setup_intent.succeeded", "done", "top_up_resumed") in till.inbox()
    assert till.credits() == 100


async def test_a_card_saved_through_an_app_is_no_default_beside_others_and_resumes_nothing(
    till: Till,
) -> None:
    ada = Cardholder(till)
    await ada.rule()
    await ada.round()
    app = Caller(app_id=7, by_key=True)

    await saved_methods.open_setup(till.ctx, app, user_id=till.user_id, key="never finished")
    [[customer]] = till.ask("SELECT stripe_customer_id FROM tallybook.stripe_customers")
    till.stripe_post("/v1/payment_methods/pm_card_visa/attach", customer=customer)
    await save_by_form(till, "pm_card_mastercard", app)
    second = await saved_methods.get(till.ctx, till.caller, user_id=None)

    assert (len(second.methods), second.default_id) == (2, None)
    assert ada.stopped() == "no_saved_card"
    await saved_methods.make_default(till.ctx, till.caller, second.methods[0].id, user_id=None)
    assert ada.stopped() is None


async def test_a_card_that_could_not_be_saved_changes_nothing(till: Till) -> None:
    await save_by_form(till, "pm_card_chargeDeclined")

    assert ("setup_intent.setup_failed", "done", "not_saved") in till.inbox()
    assert (await saved_methods.get(till.ctx, till.caller, user_id=None)).methods == ()


async def test_events_about_strangers_cards_and_customers_are_foreign(till: Till) -> None:
    stranger = till.stripe_post("/v1/customers", email="stranger@example.com", payment_method="pm_card_visa")
    till.stripe_post(f"/v1/customers/{stranger['id']}", description="changed")

    for event in till.stripe_get("/v1/events", limit=20)["data"]:
        about = event["data"]["object"]
        if stranger["id"] in (about["id"], about.get("customer")):
            await till.deliver(event)
    await work_off(till.ctx)

    outcomes = {(kind, outcome) for kind, _, outcome in till.inbox()}
    assert ("payment_method.attached", "foreign") in outcomes
    assert ("customer.updated", "foreign") in outcomes


async def test_anothers_card_is_neither_chosen_nor_removed_nor_shown(till: Till) -> None:
    method = await Cardholder(till).save("pm_card_visa")
    bob = Caller(user_id=add_user(till.database, "bob@example.com"))

    for act in (saved_methods.make_default, saved_methods.let_go):
        with pytest.raises(PaymentMethodNotFoundError):
            await act(till.ctx, bob, method, user_id=None)
        with pytest.raises(PermissionDeniedError):
            await act(till.ctx, bob, method, user_id=till.user_id)
    assert (await saved_methods.get(till.ctx, bob, user_id=None)).methods == ()
    assert len((await saved_methods.get(till.ctx, OPERATOR, user_id=till.user_id)).methods) == 1


async def test_an_app_that_may_open_purchases_reaches_no_saved_card(till: Till) -> None:
    method = await Cardholder(till).save("pm_card_visa")
    app = Caller(app_id=7, by_key=True)
    in_app = Caller(app_id=7, user_id=till.user_id)

    for caller in (app, in_app):
        with pytest.raises(PermissionDeniedError):
            await saved_methods.get(till.ctx, caller, user_id=till.user_id)
        with pytest.raises(PermissionDeniedError):
            await saved_methods.make_default(till.ctx, caller, method, user_id=till.user_id)
        with pytest.raises(PermissionDeniedError):
            await rules.end(till.ctx, caller, user_id=till.user_id)


@pytest.mark.parametrize(
    ("currency", "minor", "micro"), [("jpy", 16667, 50_001_000), ("kwd", 1500, 50_000_000)]
)
async def test_pitfall_19_credits_are_topped_up_at_a_rate_in_its_own_minor_units(
    till: Till, currency: str, minor: int, micro: int
) -> None:
    ada = Cardholder(selling(till, RATES))
    await ada.save("pm_card_visa")
    cap = Money(1_000_000, currency)
    await ada.rule(lookup_key=None, credits=Credits.whole(10), monthly_cap=cap)

    await ada.round()

    assert till.ask("SELECT paid_minor, currency, credits_micro FROM tallybook.payments") == [
        (minor, currency, micro)
    ]


async def test_the_only_card_saved_through_an_app_resumes_no_top_up(till: Till) -> None:
    ada = Cardholder(till)
    await ada.rule()
    await ada.round()

    await save_by_form(till, "pm_card_visa", Caller(app_id=7, by_key=True))

    assert ada.stopped() == "no_saved_card"
